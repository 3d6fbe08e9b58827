"""ClickHouse's native protocol, as much of it as a probe speaks: Hello, Query, Ping, and what answers them.

Client and server use the lower of their two revisions. That of this client is the first in which settings
are text: no later addition to the protocol applies. The columns of a probe's statements are text or integers,
so that no more types have to be read.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConnectionError
from floe_monitor_clickhouse.errors import ServerError, UnexpectedAnswerError

if TYPE_CHECKING:
    import io
    from collections.abc import Mapping

REVISION = 54429
OLDEST_WITH_SETTINGS = 54429
CLIENT_INFO, TIMEZONE, QUOTA_KEY, DISPLAY_NAME, PATCH, WRITTEN = 54032, 54058, 54060, 54372, 54401, 54420
"""Revisions from which on packets have these parts."""
HELLO, QUERY, DATA, PING = 0, 1, 2, 4
S_HELLO, S_DATA, S_EXCEPTION, S_PROGRESS, S_PONG, S_END, S_PROFILE, S_TOTALS, S_EXTREMES, S_LOG = (
    0, 1, 2, 3, 4, 5, 6, 7, 8, 10,
)  # fmt: skip
_HTTP = ord("H")
_TLS_ALERT = 21
_LONGEST_TEXT = 1 << 20
_MOST_CELLS = 100_000
_INTEGERS = {
    "UInt8": "<B", "UInt16": "<H", "UInt32": "<I", "UInt64": "<Q", "Int8": "<b", "Int16": "<h", "Int32": "<i",
    "Int64": "<q",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ServerHello:
    version: str
    revision: int
    """The one in use: the lower of both sides'."""


# ---------------------------------------------------------------- writing


def varint(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogatepass")
    return varint(len(data)) + data


def hello(client: str, database: str, user: str, password: str) -> bytes:
    return varint(HELLO) + text(client) + varint(1) + varint(0) + varint(REVISION) + b"".join(
        map(text, (database, user, password))
    )  # fmt: skip


def query(sql: str, settings: Mapping[str, str], client: str, revision: int) -> bytes:
    """And the empty block that ends the data which could go along. Servers before `OLDEST_WITH_SETTINGS`,
    which want each setting in a type of its own, get none."""
    parts = [varint(QUERY), text("")]
    if revision >= CLIENT_INFO:
        parts += [b"\x01", text(""), text(""), text("0.0.0.0:0"), b"\x01", text(""), text(""), text(client)]
        parts += [varint(1), varint(0), varint(REVISION)]
        if revision >= QUOTA_KEY:
            parts.append(text(""))
        if revision >= PATCH:
            parts.append(varint(0))
    if revision >= OLDEST_WITH_SETTINGS:
        for name, value in settings.items():
            parts += [text(name), b"\x00", text(value)]
    parts += [text(""), varint(2), varint(0), text(sql)]
    parts += [varint(DATA), text(""), b"\x01\x00\x02\xff\xff\xff\xff\x00", varint(0), varint(0)]
    return b"".join(parts)


# ---------------------------------------------------------------- reading


class PacketReader:
    """Reads what a server sends; each value is bounded in size."""

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source

    def hello(self) -> ServerHello:
        """Raises `ServerError` where the login is refused."""
        kind = self.packet("Hello")
        if kind != S_HELLO:
            raise UnexpectedAnswerError(f"the server sends packet {kind} in place of its Hello")
        self.text()
        major, minor, revision = self.varint(), self.varint(), self.varint()
        used = min(revision, REVISION)
        if used >= TIMEZONE:
            self.text()
        if used >= DISPLAY_NAME:
            self.text()
        patch = self.varint() if used >= PATCH else revision
        return ServerHello(f"{major}.{minor}.{patch}", used)

    def packet(self, wanted: str) -> int:
        """The kind of the next packet; an exception is raised."""
        kind = self.varint()
        if kind == S_EXCEPTION:
            raise self._exception()
        if kind == _HTTP:
            raise UnexpectedAnswerError(
                f"the server answers in HTTP where its {wanted} should be: use driver: http"
            )
        if kind == _TLS_ALERT:
            raise UnexpectedAnswerError(
                f"the server speaks TLS where its {wanted} should be: set secure: true"
            )
        return kind

    def answer(self, revision: int) -> list[list[str]]:
        """The rows of a statement, until its end."""
        rows: list[list[str]] = []
        while True:
            kind = self.packet("answer")
            if kind == S_END:
                return rows
            if kind == S_DATA:
                rows += self._block()
                if len(rows) > _MOST_CELLS:
                    raise UnexpectedAnswerError(f"the answer has more than {_MOST_CELLS} rows")
            elif kind in {S_TOTALS, S_EXTREMES, S_LOG}:
                self._block()
            elif kind == S_PROGRESS:
                for _ in range(5 if revision >= WRITTEN else 3):
                    self.varint()
            elif kind == S_PROFILE:
                self._profile()
            else:
                raise UnexpectedAnswerError(f"the server sends packet {kind}, which nobody asked for")

    def varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._take(1)[0]
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise UnexpectedAnswerError("the answer is not in ClickHouse's native protocol: a number without end")

    def text(self) -> str:
        return self._take(self.varint()).decode(errors="replace")

    def _take(self, size: int) -> bytes:
        if size > _LONGEST_TEXT:  # the reader would make room for all of it at once
            raise UnexpectedAnswerError(
                "the answer is not in ClickHouse's native protocol, or it is too long"
            )
        data = self._source.read(size)
        if len(data) < size:
            raise ComputeConnectionError("the server closed the connection in the middle of an answer")
        return data

    def _exception(self) -> ServerError:
        (code,) = struct.unpack("<i", self._take(4))
        name, message = self.text(), self.text()
        self.text()  # the stack of the server
        while self._take(1) != b"\x00":  # what caused it, of the same form
            self._take(4)
            for _ in range(3):
                self.text()
        return ServerError(code, message.removeprefix(f"{name}: "))

    def _profile(self) -> None:
        for _ in range(3):
            self.varint()
        self._take(1)
        self.varint()
        self._take(1)

    def _block(self) -> list[list[str]]:
        self.text()
        while (part := self.varint()) != 0:  # what the block says of itself
            self._take({1: 1, 2: 4}.get(part, 0))
        columns, count = self.varint(), self.varint()
        if columns * count > _MOST_CELLS:
            raise UnexpectedAnswerError(f"the answer has more than {_MOST_CELLS} values")
        found = []
        for _ in range(columns):
            self.text()
            found.append(self._column(self.text(), count))
        return [list(row) for row in zip(*found, strict=True)]

    def _column(self, kind: str, count: int) -> list[str]:
        if kind == "String":
            return [self.text() for _ in range(count)]
        form = _INTEGERS.get(kind)
        if form is None:
            raise UnexpectedAnswerError(
                f"the answer has a column of type {kind[:100]}, which was not asked for"
            )
        size = struct.calcsize(form)
        return [str(struct.unpack(form, self._take(size))[0]) for _ in range(count)]
