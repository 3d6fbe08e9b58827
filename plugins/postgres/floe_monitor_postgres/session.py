"""One libpq session, driven through libpq's own non-blocking calls.

libpq is what dbt-postgres speaks through, so TLS modes, client certificates, password files and
authentication mean the same here. Its blocking calls cannot be bounded (`connect_timeout` ends with the
connection, a frozen server holds a query for ever), so none is used: every wait is a `poll` until a moment on
the monotonic clock. libpq's own progress also says how far a connection came, without reading messages.
"""

from __future__ import annotations

import ctypes
import re
import select
from typing import TYPE_CHECKING, Any, TypeVar

from psycopg import pq

from floe_monitor.compute import MonitorResourceError
from floe_monitor_postgres.certificates import certificates_of
from floe_monitor_postgres.errors import (
    LinkError,
    ServerError,
    SessionError,
    Stage,
    TimedOutError,
    link_error,
)
from floe_monitor_postgres.hosts import CANNOT_CONNECT_NOW, why_unwanted
from floe_monitor_postgres.libpq import conninfo, one_line, verbosity_setter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_postgres.certificates import Certificates
    from floe_monitor_postgres.libpq import Row

_T = TypeVar("_T")

_STAGES = {
    pq.ConnStatus.STARTED: Stage.NETWORK,
    pq.ConnStatus.MADE: Stage.TLS,
    pq.ConnStatus.SSL_STARTUP: Stage.TLS,
    pq.ConnStatus.GSS_STARTUP: Stage.TLS,
    pq.ConnStatus.AWAITING_RESPONSE: Stage.LOGIN,
    pq.ConnStatus.AUTH_OK: Stage.DATABASE,
    pq.ConnStatus.SETENV: Stage.DATABASE,
    pq.ConnStatus.CHECK_WRITABLE: Stage.DATABASE,
    pq.ConnStatus.CONSUME: Stage.DATABASE,
    pq.ConnStatus.CHECK_TARGET: Stage.DATABASE,
    pq.ConnStatus.CHECK_STANDBY: Stage.DATABASE,
    pq.ConnStatus.OK: Stage.OPEN,
}
_SQLSTATE = re.compile(r"[^\s:]+: {2}([0-9A-Z]{5}): ([^\n]*)")
"""One error of the server at verbosity `verbose`; the word before it is in the server's language."""
_VERBOSE = 2
_PAST_LOGIN = frozenset({"3D000", "42501", "55000", "22023", "42704"})
"""Refusals of a session that come once the login has passed; libpq may read both at one go."""

_OWN = {"client_encoding": "UTF8", "target_session_attrs": "any"}
"""Of each session: the second is looked at here, and not by libpq, whatever its variables say."""


class Session:
    """A connection from its first packet to its end. Not for two threads at once."""

    def __init__(self, parameters: Mapping[str, str], deadline: Deadline) -> None:
        """Starts connecting to `hostaddr`, or a socket directory; returns before anything answered."""
        self.deadline = deadline
        """When waits end; may be replaced."""
        self.endpoints: tuple[Endpoint, ...] = ()
        """Where it leads, by the name that was looked up."""
        self.wanted = "any"
        """What the server behind it was to be, of `target_session_attrs`."""
        self.stage = Stage.NETWORK
        self.parameters = parameters
        self._refused: SessionError | None = None
        self._encrypts = parameters.get("sslmode") != "disable" and "hostaddr" in parameters
        self._events = select.POLLOUT
        self._pq = pq.PGconn.connect_start(conninfo({**parameters, **_OWN}))
        set_verbosity = verbosity_setter()
        if set_verbosity is not None:
            set_verbosity(ctypes.c_void_p(getattr(self._pq, "pgconn_ptr", None)), _VERBOSE)
        if self._pq.status == pq.ConnStatus.BAD:
            self._fail()

    def advance(self, stage: Stage) -> None:
        """Go on until `stage` is reached. Raises `LinkError`, `ServerError` or `TimedOutError`."""
        while self.stage < stage:
            if self._refused is not None:
                raise self._refused
            self._wait(self._events)
            polled = self._pq.connect_poll()
            if polled == pq.PollingStatus.FAILED:
                self._fail()
                continue
            self._events = select.POLLIN if polled == pq.PollingStatus.READING else select.POLLOUT
            reached = _STAGES.get(pq.ConnStatus(self._pq.status), self.stage)
            if reached is Stage.TLS and not self._encrypts:
                reached = Stage.LOGIN
            # libpq starts over where sslmode allows a second way; the stage is the farthest point.
            self.stage = max(self.stage, reached)
        if self.stage is Stage.OPEN:
            self._pq.nonblocking = 1

    def advance_or_hold(self, stage: Stage) -> None:
        """As `advance`, but what the server or libpq refuse is raised by the next call that wants to go on.

        Raises `TimedOutError`, and `ServerError` for one of the codes that have libpq try another host.
        """
        try:
            self.advance(stage)
        except TimedOutError:
            raise
        except SessionError as error:
            if isinstance(error, ServerError) and error.sqlstate == CANNOT_CONNECT_NOW:
                raise
            self._refused = error

    def run(self, sql: str) -> list[Row]:
        """Send statements as one message and give the first row of each that has one."""
        self._sent(lambda: self._pq.send_query(sql.encode()))
        while (unsent := self._sent(self._pq.flush)) == 1:
            if self._wait(select.POLLIN | select.POLLOUT) & select.POLLIN:
                self._sent(self._pq.consume_input)
        assert unsent == 0  # noqa: S101 - libpq raises for the rest
        rows: list[Row] = []
        failure: ServerError | LinkError | MonitorResourceError | None = None
        try:
            while (result := self._next_result()) is not None:
                if result.status == pq.ExecStatus.TUPLES_OK and result.ntuples:
                    columns = range(result.nfields)
                    rows.append(tuple(_text(result.get_value(0, column)) for column in columns))
                elif result.status == pq.ExecStatus.FATAL_ERROR and failure is None:
                    failure = self._failure(result)
        except SessionError:
            # The server may close the connection once it has said why.
            if failure is None:
                raise
        if failure is not None:
            raise failure
        return rows

    def literal(self, value: str) -> str:
        """`value` as an SQL literal under this session's settings."""
        return bytes(pq.Escaping(self._pq).escape_literal(value.encode())).decode()

    @property
    def usable(self) -> bool:
        return (
            self._pq.status == pq.ConnStatus.OK and self._pq.transaction_status == pq.TransactionStatus.IDLE
        )

    @property
    def in_transaction(self) -> bool:
        """Whether it waits in one for its next statement; False while it answers, too."""
        return self._pq.transaction_status in {pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR}

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether it still answers, until `proving` ends; its further waits end at `deadline`."""
        self.deadline = proving
        try:
            self.run("SELECT 1")
            # A standby that was promoted since, or a primary that was demoted.
            wanted = why_unwanted(self, self.wanted) is None
        except (SessionError, MonitorResourceError):
            return False
        self.deadline = deadline
        return wanted

    def rest(self) -> bool:
        """End the transaction of a validation, if it is still open; False where that does not work."""
        if self.in_transaction:
            try:
                self.run("ROLLBACK")
            except (SessionError, MonitorResourceError):
                return False
        return self.usable

    def reported(self, parameter: str) -> str | None:
        """A setting that the server tells by itself, anew whenever it changes; None where it does not."""
        return _text(self._pq.parameter_status(parameter.encode()))

    @property
    def certificates(self) -> Certificates:
        """After the TLS handshake, if there is one."""
        return certificates_of(getattr(self._pq, "pgconn_ptr", None))

    @property
    def used_password(self) -> bool:
        """Whether the server, or a pooler before it, asked for one."""
        return bool(self._pq.used_password)

    @property
    def server_version(self) -> int:
        """Such as 180006."""
        return int(self._pq.server_version)

    @property
    def process_id(self) -> int:
        """Of the server's process, as the server or a pooler told it at the login."""
        return int(self._pq.backend_pid)

    def close(self) -> None:
        """Ends at once whatever is under way: the socket never blocks."""
        self._pq.finish()

    def _next_result(self) -> Any:
        while self._pq.is_busy():
            self._wait(select.POLLIN)
            self._sent(self._pq.consume_input)
        return self._pq.get_result()

    def _wait(self, events: int) -> int:
        poller = select.poll()
        poller.register(self._pq.socket, events)
        while True:
            left = self.deadline.remaining()
            if left <= 0:
                raise TimedOutError(self.stage)
            # Rounded up: a wait that ends early would spin through its last millisecond.
            ready = poller.poll(int(left * 1000) + 1)
            if ready:
                return ready[0][1]

    def _sent(self, call: Callable[[], _T]) -> _T:
        try:
            return call()
        except Exception as error:
            if isinstance(error, TimedOutError):
                raise
            raise link_error(self.stage, one_line(self._message())) from error

    def _message(self) -> str:
        return self._pq.get_error_message("utf-8")

    def _failure(self, result: Any) -> ServerError | LinkError | MonitorResourceError:
        sqlstate = result.error_field(pq.DiagnosticField.SQLSTATE)
        primary = _text(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY)) or "no message"
        if sqlstate:
            return ServerError(sqlstate.decode(), primary, self.stage)
        return link_error(self.stage, one_line(self._message()))

    def _fail(self) -> None:
        """Raise why the connection could not be made, or leave that to the stage it belongs to."""
        text = self._message()
        found = _SQLSTATE.findall(text)
        if found:
            # libpq tried a second way (with or without TLS): a refused password says more than a refused way.
            sqlstate, primary = min(found, key=lambda pair: pair[0] != "28P01")
            error = ServerError(sqlstate, primary, self.stage)
            if sqlstate not in _PAST_LOGIN or self.stage > Stage.LOGIN:
                raise error
            self.stage, self._refused = Stage.DATABASE, error
            return
        raise link_error(self.stage, one_line(text), needs_password=bool(self._pq.needs_password))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
