"""One session, over a connection on which no wait outlives the deadline.

Not by dbt's driver: its one timeout is of each operation, in whole seconds, and stays on the socket; it
neither bounds the look-up of the name nor an answer that drips; another thread that closes it waits along.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeError, Deadline
from floe_monitor_redshift import messages
from floe_monitor_redshift.errors import (
    LoginMethodError,
    RedshiftError,
    ServerError,
    TlsRefusedError,
    UnexpectedAnswerError,
    translated,
)

if TYPE_CHECKING:
    import ssl

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_redshift.messages import Row

APPLICATION = "floe-monitor"
PARTING_SECONDS = 0.05
"""For the message that ends a session: it fits the socket's buffer."""
_IDLE = "I"
_OK, _CLEAR_TEXT, _MD5, _DIGEST = 0, 3, 5, 13
_LONGEST_ANSWER = 10_000
"""Messages; an answer of more is nobody's that a probe asks for."""


class Session:
    """Not for two threads at once."""

    def __init__(self, connection: BoundedSocket) -> None:
        self._connection = connection
        self._received = b""
        self._open = False
        self._transaction = ""
        self.settings: dict[str, str] = {}
        """What the server tells of itself at the login."""

    # ------------------------------------------------------------ getting there

    def encrypt(self, context: ssl.SSLContext, server_hostname: str) -> None:
        """Raises `TlsRefusedError`, or `ServerError` where it says why it takes no connection."""
        self._connection.waits_for = "the reply to the TLS request"
        self._connection.sendall(messages.TLS_REQUEST)
        answer = self._connection.recv(1)
        if answer == b"E":
            self._received = answer
            self._refused(self._next())
        if answer == b"N":
            raise TlsRefusedError
        if answer != b"S":
            raise UnexpectedAnswerError("the answer is not in the protocol of Redshift")
        with translated():
            self._connection.encrypt(context, server_hostname)

    def log_in(self, user: str, password: str, database: str) -> None:
        """Until the server has accepted who asks."""
        self._connection.waits_for = "the login"
        parameters = {"user": user, "database": database, "application_name": APPLICATION}
        self._connection.sendall(messages.startup(parameters))
        while True:
            kind, body = self._next()
            if kind == b"E":
                raise messages.error_in(body)
            if kind == b"R":
                code = messages.number(body, 0)
                if code == _OK:
                    return
                self._prove(code, body, user, password)
            elif kind != b"N":
                raise UnexpectedAnswerError("the server answers a login with something else")

    def open(self) -> None:
        """Until the session is there: the database may refuse whom the server let in."""
        self._connection.waits_for = "the session to open"
        while True:
            kind, body = self._next()
            if kind == b"E":
                raise messages.error_in(body)
            if kind == b"S":
                name, value = messages.setting_in(body)
                self.settings[name] = value
            elif kind == b"Z":
                self._transaction = body.decode(errors="replace")
                self._open = True
                return

    def _prove(self, code: int, body: bytes, user: str, password: str) -> None:
        if code == _CLEAR_TEXT:
            self._connection.sendall(messages.message(b"p", password.encode() + b"\0"))
        elif code == _MD5:
            self._connection.sendall(messages.md5_proof(user, password, body[4:8]))
        elif code == _DIGEST:
            nonce = str(int(time.time() * 1000)).encode()
            self._connection.sendall(messages.digest_proof(body, password, nonce))
        else:
            raise LoginMethodError(code)

    # ------------------------------------------------------------ statements

    def run(self, sql: str) -> list[Row]:
        """The rows of one statement. Raises `ServerError` for the server's refusal."""
        self._connection.waits_for = "the answer to a statement"
        self._connection.sendall(messages.message(b"Q", sql.encode() + b"\0"))
        return self._answer()

    def _answer(self) -> list[Row]:
        rows: list[Row] = []
        failure: ServerError | None = None
        for _ in range(_LONGEST_ANSWER):
            try:
                kind, body = self._next()
            except ComputeError:
                # The server may close the connection once it has said why.
                if failure is not None:
                    self._open = False
                    raise failure from None
                raise
            if kind == b"D":
                rows.append(messages.row_in(body))
            elif kind == b"E":
                failure = failure or messages.error_in(body)
            elif kind == b"Z":
                self._transaction = body.decode(errors="replace")
                if failure is not None:
                    raise failure
                return rows
        raise UnexpectedAnswerError("the answer to a statement does not end")

    def _next(self) -> tuple[bytes, bytes]:
        kind, length = messages.head(self._exactly(messages.HEAD))
        return kind, self._exactly(length)

    def _exactly(self, size: int) -> bytes:
        with translated():
            while len(self._received) < size:
                self._received += self._connection.recv(65536)
        found, self._received = self._received[:size], self._received[size:]
        return found

    def _refused(self, answer: tuple[bytes, bytes]) -> None:
        raise messages.error_in(answer[1])

    # ------------------------------------------------------------ between validations

    @property
    def usable(self) -> bool:
        return self._open and self._transaction == _IDLE

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._connection.endpoints

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether it still answers: by a message of the protocol, for a statement may be billed."""
        self._connection.renew(proving)
        self._connection.waits_for = "the kept session"
        try:
            self._connection.sendall(messages.SYNC)
            self._answer()
        except (ComputeError, RedshiftError):
            return False
        self._connection.deadline = deadline
        return True

    def rest(self) -> bool:
        """A role and a query group are set anew by each validation."""
        return self.usable

    def close(self) -> None:
        """In good order where nothing is under way, so that the server's log has no broken session."""
        if self.usable:
            self._connection.deadline = Deadline.after(PARTING_SECONDS)
            with suppress(ComputeError, OSError):
                self._connection.sendall(messages.TERMINATE)
        self._open = False
        self._connection.close()
