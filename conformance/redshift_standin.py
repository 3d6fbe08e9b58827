"""A stand-in for a Redshift endpoint on loopback: its wire protocol, as far as a probe and dbt's driver go.

It answers a probe's statements by what `State` says, in Redshift's own words and by its own catalogs, which a
real Postgres lacks. What it is for: kits and faults that must run anywhere, and what only Redshift has: its
digest of passwords, its external schemas, its SHOW, its refusals.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.loopback_server import LoopbackServer
from conformance.postgres_protocol import PostgresHandler, parameters_in

if TYPE_CHECKING:
    import ssl

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
VERSION = "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0.119453"
LIMIT_REACHED = ("53300", 'connection limit "500" exceeded for non-bootstrap users')
SALT, NONCE = b"salt", b"a nonce of the server's"
_TEXT = 25
_PID = 4711
_SCHEMA = re.compile(r"lower\(nspname\) = '(.*)'")
_RIGHT = re.compile(r"has_(schema|database)_privilege\((.*?), '(\w+)'\)")

Refusal = tuple[str, str]


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    users: dict[str, str] = field(default_factory=lambda: {"dbt": PASSWORD})
    databases: frozenset[str] = frozenset({"analytics"})
    schemas: frozenset[str] = frozenset({"marts"})
    external_schemas: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset({"USAGE", "CREATE", "TEMP"})
    login: str = "digest"
    """`digest`, `md5` or `clear`; a number is a kind of login that nobody knows."""
    demands_tls: bool = False
    version: str = VERSION
    statement_timeout: str = "0"
    password_ends: str = "infinity"  # noqa: S105 - a time
    """As the server writes the end of a user's password."""
    unready: Refusal | None = None
    """SQLSTATE and message by which whoever comes is turned away, before any login."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    """The same, by what a statement contains."""
    greeting: bytes | None = None
    """In place of any answer."""
    startups: list[dict[str, str]] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    partings: list[str] = field(default_factory=list)
    """Of sessions that ended in good order, the user."""


class StandIn(LoopbackServer):
    """Listens on a free port; with a TLS context it agrees to TLS where a client asks for it."""

    def __init__(self, tls: ssl.SSLContext | None = None, **state: Any) -> None:
        self.state, self.tls = State(**state), tls
        super().__init__(_Handler)


class _Handler(PostgresHandler):
    owner: StandIn

    def serve(self) -> None:
        state = self.owner.state
        if state.greeting is not None:
            self.first()
            self.request.sendall(state.greeting)
            return
        _, body, encrypted = self.startup(self.owner.tls)
        parameters = parameters_in(body)
        state.startups.append(parameters)
        refusal = self._turned_away(parameters, encrypted=encrypted)
        if refusal is not None:
            self.send(b"E", _error(refusal, "FATAL"))
            return
        self._open(parameters)

    def _turned_away(self, parameters: dict[str, str], *, encrypted: bool) -> Refusal | None:
        state, user, database = self.owner.state, parameters["user"], parameters.get("database", "")
        if state.unready is not None:
            return state.unready
        if state.demands_tls and not encrypted:
            where = f'host "::ffff:127.0.0.1", user "{user}", database "{database}"'
            return "28000", f"no pg_hba.conf entry for {where}, SSL off"
        if not self._proved(user):
            if user.startswith("IAM"):
                return "28000", f'user "{user}" does not exist'
            return "28000", f'password authentication failed for user "{user}"'
        self.send(b"R", struct.pack("!I", 0))
        if database not in state.databases:
            return "3D000", f'database "{database}" does not exist'
        return None

    def _proved(self, user: str) -> bool:
        state = self.owner.state
        password = state.users.get(user, "").encode()
        if state.login == "clear":
            return self._answer_to(struct.pack("!I", 3)) == password + b"\0" and user in state.users
        if state.login == "md5":
            given = self._answer_to(struct.pack("!I", 5) + SALT)
            inner = hashlib.md5(password + user.encode(), usedforsecurity=False).hexdigest().encode()
            wanted = b"md5" + hashlib.md5(inner + SALT, usedforsecurity=False).hexdigest().encode() + b"\0"
            return given == wanted and user in state.users
        if state.login == "digest":
            given = self._answer_to(
                struct.pack("!III", 13, 0, len(SALT)) + SALT + struct.pack("!I", len(NONCE)) + NONCE
            )
            (size,) = struct.unpack("!I", given[:4])
            digest, nonce = given[4 : 4 + size], given[8 + size :]
            stored = hashlib.sha256(password + SALT).digest()
            return digest == hashlib.sha256(stored + NONCE + nonce).digest() and user in state.users
        self._answer_to(struct.pack("!I", int(state.login)))
        return False

    def _answer_to(self, request: bytes) -> bytes:
        self.send(b"R", request)
        return self.receive()[1]

    def _open(self, parameters: dict[str, str]) -> None:
        for name, value in (("server_version", "8.0.2"), ("client_encoding", "UTF8")):
            self.send(b"S", f"{name}\0{value}\0".encode())
        self.send(b"K", struct.pack("!II", _PID, 1))
        self.send(b"Z", b"I")
        session = _Extended()
        while True:
            kind, body = self.receive()
            if kind == b"X":
                self.owner.state.partings.append(parameters["user"])
                return
            if kind == b"Q":
                self._run(body.rstrip(b"\0").decode(), parameters, described=False)
                self.send(b"Z", b"I")
            else:
                self._extend(session, kind, body, parameters)

    def _extend(self, session: _Extended, kind: bytes, body: bytes, parameters: dict[str, str]) -> None:
        """The messages of a prepared statement, which dbt's driver sends, the monitor none."""
        if kind == b"S":
            session.failed = False
            self.send(b"Z", b"I")
        elif session.failed:
            return
        elif kind == b"P":
            session.statement = body.split(b"\0")[1].decode()
            self.send(b"1", b"")
        elif kind == b"B":
            self.send(b"2", b"")
        elif kind == b"C":
            self.send(b"3", b"")
        elif kind == b"D":
            if body[:1] == b"S":
                self.send(b"t", struct.pack("!H", 0))
            found = _rows(self.owner.state, session.statement, parameters)
            self.send(*((b"T", _described(found)) if found else (b"n", b"")))
        elif kind == b"E":
            session.failed = not self._run(session.statement, parameters, described=True)

    def _run(self, statement: str, parameters: dict[str, str], *, described: bool) -> bool:
        state = self.owner.state
        state.statements.append(statement)
        refusal = next((said for part, said in state.refused.items() if part in statement), None)
        if refusal is not None:
            self.send(b"E", _error(refusal, "ERROR"))
            return False
        rows = _rows(state, statement, parameters)
        if rows and not described:
            self.send(b"T", _described(rows))
        for row in rows or ():
            values = [str(value).encode() for value in row]
            parts = b"".join(struct.pack("!I", len(value)) + value for value in values)
            self.send(b"D", struct.pack("!H", len(values)) + parts)
        self.send(b"C", f"{statement.split(maxsplit=1)[0].upper()}\0".encode())
        return True


@dataclass
class _Extended:
    """Of one session, what its prepared statement is."""

    statement: str = ""
    failed: bool = False


def _error(refusal: Refusal, severity: str) -> bytes:
    code, text = refusal
    fields = {"S": severity, "C": code, "M": text}
    return b"".join(f"{name}{value}\0".encode() for name, value in fields.items()) + b"\0"


def _described(rows: list[list[Any]]) -> bytes:
    columns = b"".join(
        f"c{place}\0".encode() + struct.pack("!IHIhIH", 0, 0, _TEXT, -1, 0xFFFFFFFF, 0)
        for place in range(len(rows[0]))
    )
    return struct.pack("!H", len(rows[0])) + columns


def _rows(state: State, statement: str, parameters: dict[str, str]) -> list[list[Any]] | None:
    """None where the statement brings no rows at all."""
    fixed: dict[str, list[Any]] = {
        "current_user": [parameters["user"].rpartition(":")[2], parameters["database"]],
        "version()": [state.version],
        "valuntil": [parameters["user"], state.password_ends],
        "statement_timeout": [state.statement_timeout],
        "pg_backend_pid": [_PID],
    }
    row = next((row for part, row in fixed.items() if part in statement), None)
    if row is not None:
        return [row]
    if found := _SCHEMA.search(statement):
        return [[name] for name in (state.schemas | state.external_schemas) if name == found[1]]
    if "svv_external_schemas" in statement:
        return [[1] for name in state.external_schemas if f"'{name}'" in statement]
    if found := _RIGHT.search(statement):
        right = f"DATABASE {found[3]}" if found[1] == "database" and found[3] == "CREATE" else found[3]
        return [["t" if right in state.rights else "f"]]
    return [[1]] if statement.lower().startswith("select") else None
