"""A stand-in for ClickHouse on loopback, in both of its protocols, as far as the plugin and dbt use them.

It answers the statements of a probe by what `State` says, in the words that the real engine used. What it is
for: kits and faults that must run anywhere, the native protocol with what today's servers answer, and states
into which no real server is brought here.
"""

from __future__ import annotations

import base64
import json
import re
import socketserver
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from conformance.clickhouse_answers import BAD_LOGIN, KNOWN, RefusedError, State
from conformance.loopback_server import HttpHandler, LoopbackServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from io import BufferedIOBase

    from conformance.clickhouse_answers import Rows

REVISION = 54429
"""Of the native protocol: as much of it as is answered here. Both sides use the lower one of theirs."""
_NO_SETTINGS = frozenset({"database", "default_format", "wait_end_of_query", "session_id", "query_id"})


class StandIn(LoopbackServer):
    """Listens on two free ports, for HTTP and the native protocol; with a TLS context in TLS alone."""

    def __init__(self, tls: ssl.SSLContext | None = None, **state: Any) -> None:
        self.state = State(**state)
        self._native = _Native(self.state, tls)
        self.native_port = self._native.port
        super().__init__(_HttpHandler, tls)

    def close(self) -> None:
        super().close()
        self._native.close()


class _Native(LoopbackServer):
    def __init__(self, state: State, tls: ssl.SSLContext | None) -> None:
        self.state = state
        super().__init__(_NativeHandler, tls)


# ---------------------------------------------------------------- HTTP


class _HttpHandler(HttpHandler):
    owner: StandIn

    def setup(self) -> None:
        self.state = self.owner.state
        self.state.connections += 1
        super().setup()

    def do_GET(self) -> None:
        self._send(200, b"Ok.\n") if self.path == "/ping" else self._send(404, b"There is no handle\n")

    def do_POST(self) -> None:
        sql = self.body().decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.state.headers.append(headers)
        if self.state.status is not None:
            self._send(self.state.status, self.state.page)
            return
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        settings = {name: value for name, value in given.items() if name not in _NO_SETTINGS}
        try:
            self._admit(headers)
            rows = self.state.answer(sql, settings)
        except RefusedError as error:
            text = f"Code: {error.code}. DB::Exception: {error} (version {self.state.version})\n"
            code = {"X-ClickHouse-Exception-Code": str(error.code)}
            self._send(403 if error.code in {497, 516} else 500, text.encode(), code)
            return
        if sql.endswith("FORMAT Native"):
            self._send(200, _block(rows, rows, sql) if rows else b"")
        elif given.get("default_format") == "JSONCompact":
            columns = [{"name": name, "type": "String"} for name in _names(sql, rows)]
            self._send(200, json.dumps({"meta": columns, "data": rows, "rows": len(rows)}).encode())
        else:
            self._send(200, "".join("\t".join(map(str, row)) + "\n" for row in rows).encode())

    def _admit(self, headers: Mapping[str, str]) -> None:
        if headers.get("x-clickhouse-ssl-certificate-auth") == "on":
            user, known = headers.get("x-clickhouse-user", ""), True
        else:
            pair = base64.b64decode(headers.get("authorization", "").removeprefix("Basic ")).decode()
            user, _, password = pair.partition(":")
            known = self.state.users.get(user) == password
        if not known or user not in self.state.users:
            raise RefusedError(BAD_LOGIN[0], BAD_LOGIN[1].format(user))

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        ends = {"Connection": "close"} if self.state.closes else {}
        self.answer(status, body, headers={**(headers or {}), **ends})


# ---------------------------------------------------------------- the native protocol


class _NativeHandler(socketserver.StreamRequestHandler):
    owner: _Native
    wbufsize = 65536

    def setup(self) -> None:
        self.state = self.owner.state
        self.state.connections += 1
        super().setup()

    def handle(self) -> None:
        self._revision = REVISION
        while (kind := self._next()) is not None:
            if kind == 0:
                if not self._greet():
                    return
            elif kind == 1:
                self._answer()
            elif kind == 4:
                self.wfile.write(b"\x04")
            else:
                return
            self.wfile.flush()

    def _greet(self) -> bool:
        read = self.rfile
        _text(read)
        _varint(read), _varint(read)
        self._revision = min(REVISION, _varint(read))
        _database, user, password = _text(read), _text(read), _text(read)
        if self.state.users.get(user) != password:
            self._refuse(RefusedError(BAD_LOGIN[0], BAD_LOGIN[1].format(user)))
            self.wfile.flush()
            return False
        major, minor, patch = map(int, self.state.version.split("."))
        self.wfile.write(
            b"\x00" + _packed("ClickHouse") + _packed(major) + _packed(minor) + _packed(REVISION)
        )
        self.wfile.write(_packed("UTC") + _packed("stand-in") + _packed(patch))
        return True

    def _answer(self) -> None:
        read = self.rfile
        _text(read)  # its id
        read.read(1)
        for _ in range(3):
            _text(read)
        read.read(1)
        for _ in range(3):
            _text(read)
        _varint(read), _varint(read), _varint(read)
        _text(read), _varint(read)
        settings = {}
        while name := _text(read):
            read.read(1)
            value = _text(read)
            if name in KNOWN:  # others are passed over: their flags do not call them important
                settings[name] = value
        _varint(read), _varint(read)
        sql = _text(read)
        _varint(read), _text(read), read.read(10)  # an empty block
        try:
            rows = self.state.answer(sql, settings)
        except RefusedError as error:
            self._refuse(error)
            return
        self.wfile.write(b"\x03" + _packed(1) * 5)  # progress
        for part in (rows[:0], rows):  # first the columns alone
            self.wfile.write(b"\x01" + _packed("") + b"\x01\x00\x02\xff\xff\xff\xff\x00")
            self.wfile.write(_block(part, rows, sql))
        self.wfile.write(
            b"\x06" + _packed(len(rows)) + _packed(1) + _packed(9) + b"\x00" + _packed(0) + b"\x00"
        )
        self.wfile.write(b"\x05")

    def _refuse(self, error: RefusedError) -> None:
        self.wfile.write(b"\x02" + struct.pack("<i", error.code) + _packed("DB::Exception"))
        self.wfile.write(_packed(f"DB::Exception: {error}") + _packed("0. stack of the server") + b"\x00")

    def _next(self) -> int | None:
        first = self.rfile.read(1)
        return first[0] if first else None


def _names(sql: str, rows: Rows) -> list[str]:
    """Of the columns: as they stand in the statement, where that is a list of names."""
    found = re.match(r"SELECT ([\w, ]+) FROM", sql)
    names = found[1].split(", ") if found else []
    count = len(rows[0]) if rows else 1
    return names if len(names) == count else [f"column{number}" for number in range(count)]


def _block(rows: Rows, like: Rows, sql: str) -> bytes:
    sample = like[0] if like else [""]
    parts = [_packed(len(sample)), _packed(len(rows))]
    for position, (name, value) in enumerate(zip(_names(sql, like), sample, strict=True)):
        parts += [_packed(name), _packed("String" if isinstance(value, str) else "UInt8")]
        cells = [row[position] for row in rows]
        parts += [_packed(cell) if isinstance(cell, str) else bytes([cell]) for cell in cells]
    return b"".join(parts)


def _varint(read: BufferedIOBase) -> int:
    number = shift = 0
    while True:
        byte = read.read(1)[0]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number
        shift += 7


def _text(read: BufferedIOBase) -> str:
    return read.read(_varint(read)).decode()


def _packed(value: str | int) -> bytes:
    """A text with its length before it, or a number."""
    data = value.encode() if isinstance(value, str) else b""
    number = len(data) if isinstance(value, str) else value
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number]) + data
