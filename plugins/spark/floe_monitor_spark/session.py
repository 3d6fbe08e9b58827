"""One session on a Thrift server, by the calls and in the order of dbt-spark and PyHive."""

from __future__ import annotations

import contextlib
import math
import re
import time
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import thrift_sasl
from pyhive.sasl_compat import PureSASLClient
from TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.TTransport import TBufferedTransport, TTransportException

from floe_monitor.compute import ComputeConfigurationError, ComputeError
from floe_monitor_spark.errors import (
    RefusedError,
    ServerError,
    SparkError,
    StrangeError,
    UnfinishedError,
)
from floe_monitor_spark.wire import LIMIT, LinkTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_spark.exchange import Exchange
    from floe_monitor_spark.wire import Link

PROTOCOL = ttypes.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V6
"""The one PyHive insists on."""
_SUCCESS = frozenset({ttypes.TStatusCode.SUCCESS_STATUS, ttypes.TStatusCode.SUCCESS_WITH_INFO_STATUS})
_UNDER_WAY = frozenset(
    {
        ttypes.TOperationState.INITIALIZED_STATE,
        ttypes.TOperationState.RUNNING_STATE,
        ttypes.TOperationState.PENDING_STATE,
    }
)
_FINISHED = ttypes.TOperationState.FINISHED_STATE
_TIMED_OUT = 8
"""TIMEDOUT_STATE, which is newer than PyHive's copy of the protocol."""
CLOSING_SECONDS = 0.5
"""What the server gets to end a session in good order."""
_MOST_VALUES = 10_000
"""In a list of an answer; what a probe asks for brings a handful."""
_LAST_LOOK = 0.02
"""Seconds within which another look at a statement would not be answered in time."""


class PunctualProtocol(TBinaryProtocol):  # type: ignore[misc]  # no types
    """Reads no longer than there is time: an answer of megabytes takes seconds, with the whole of it here."""

    def __init__(self, transport: Any, line: Link | Exchange) -> None:
        super().__init__(transport, string_length_limit=LIMIT, container_length_limit=_MOST_VALUES)
        self._line = line

    def readFieldBegin(self) -> Any:  # noqa: N802 - thrift's name
        self._line.check_time()
        return super().readFieldBegin()


class PatientSasl(PureSASLClient):  # type: ignore[misc]  # no types
    """Asks the Kerberos library in a thread that can be left behind."""

    def __init__(self, calls: BlockingCalls, link: Link, **keys: Any) -> None:
        super().__init__(**keys)
        self._calls, self._link = calls, link

    def process(self, challenge: bytes | None = None) -> Any:
        left = self._link.expires_at - time.monotonic()
        step = partial(super().process, challenge)
        return self._calls.run(left, ("kerberos", id(self)), step)


def plain_login(link: Link, **keys: Any) -> Any:
    """A transport past SASL PLAIN. Raises `RefusedError` where the server says no."""
    return _logged_in(link, partial(PureSASLClient, **keys), "PLAIN")


def kerberos_login(link: Link, calls: BlockingCalls, **keys: Any) -> Any:
    if find_spec("kerberos") is None:
        raise ComputeConfigurationError("auth: KERBEROS needs floe-monitor-spark[kerberos] installed here")
    try:
        return _logged_in(link, partial(PatientSasl, calls, link, **keys), "GSSAPI")
    except (SparkError, ComputeError):
        raise
    except Exception as error:
        raise RefusedError(f"Kerberos: {_told(error)}") from error


def _logged_in(link: Link, client: Callable[[], PureSASLClient], mechanism: str) -> Any:
    transport = thrift_sasl.TSaslClientTransport(client, mechanism, LinkTransport(link))
    try:
        transport.open()
    except TTransportException as error:
        # thrift_sasl puts the server's bytes into its own words.
        told = re.sub(r"^Bad status: \d+ \(b(['\"])(.*)\1\)$", r"\2", _told(error))
        raise RefusedError(f"the server refused the login: {told or 'without a reason'}") from error
    return transport


def no_login(link: Link) -> Any:
    return TBufferedTransport(LinkTransport(link))


class Session:
    """Not for two threads at once."""

    def __init__(self, transport: Any, line: Link | Exchange) -> None:
        """`line` is what carries the transport."""
        self._transport = transport
        self._line = line
        self._client = TCLIService.Client(PunctualProtocol(transport, line))
        self._handle: Any = None
        self._in_step = True
        """Whether the next answer is that to the next question."""
        self._idle = True

    @property
    def usable(self) -> bool:
        """Whether it may serve another validation. Does not wait."""
        return self._in_step and self._idle and self._line.alive

    def renew(self, expires_at: float) -> None:
        """For another validation."""
        self._line.renew(expires_at)

    def give_until(self, expires_at: float) -> None:
        self._line.expires_at = expires_at

    def open(self, user: str, parameters: Mapping[str, str]) -> None:
        request = ttypes.TOpenSessionReq(
            client_protocol=PROTOCOL, username=user, configuration=dict(parameters)
        )
        answer = self._ask(self._client.OpenSession, request)
        if answer.sessionHandle is None:
            raise StrangeError("the server opened no session")
        self._handle = answer.sessionHandle
        if answer.serverProtocolVersion != PROTOCOL:
            raise StrangeError(
                f"the server speaks version {answer.serverProtocolVersion} of the protocol, dbt's driver "
                f"version {PROTOCOL} alone"
            )
        self.use_default()

    def use_default(self) -> None:
        """PyHive does so before it hands out a connection. It also proves a session that was kept."""
        self.run("USE `default`")

    def run(self, sql: str) -> list[list[Any]]:
        """Execute it as dbt does, without blocking the server's thread; the columns of the result."""
        self._line.waits_for = "the answer to a statement"
        request = ttypes.TExecuteStatementReq(self._handle, sql, runAsync=True)
        # A server that goes on after we gave up ends the statement itself.
        request.queryTimeout = max(1, math.ceil(self._line.expires_at - time.monotonic()))
        operation = self._ask(self._client.ExecuteStatement, request).operationHandle
        self._idle = False
        try:
            columns = self._columns(operation)
        except ServerError:
            self._release(operation)
            raise
        self._release(operation)
        return columns

    def end(self) -> None:
        """On the server if that can be done at once, the connection in any case."""
        now = time.monotonic()
        self._line.expires_at = min(self._line.expires_at, now + CLOSING_SECONDS)
        try:
            told = self._in_step or self._line.starts_over
            if self._handle is not None and told and self._line.expires_at > now:
                self._client.CloseSession(ttypes.TCloseSessionReq(self._handle))
        except Exception:  # noqa: BLE001, S110 - the verdict stands; a server ends a session with its connection
            pass
        finally:
            self.drop()

    def drop(self) -> None:
        """The connection alone, without a word to the server."""
        self._handle = None
        self._transport.close()

    def _columns(self, operation: Any) -> list[list[Any]]:
        self._finish(operation)
        if not operation.hasResultSet:
            return []
        request = ttypes.TFetchResultsReq(operation, ttypes.TFetchOrientation.FETCH_NEXT, 1000)
        results = self._ask(self._client.FetchResults, request).results
        return [_values(column) for column in (results.columns or [])]

    def _release(self, operation: Any) -> None:
        """A session that is kept would else pile them up on the server."""
        with contextlib.suppress(ServerError):
            self._ask(self._client.CloseOperation, ttypes.TCloseOperationReq(operation))
        self._idle = True

    def _finish(self, operation: Any) -> None:
        pause = 0.005
        while True:
            answer = self._ask(self._client.GetOperationStatus, ttypes.TGetOperationStatusReq(operation))
            state = answer.operationState
            if state == _FINISHED:
                return
            if state not in _UNDER_WAY:
                break
            left = self._line.expires_at - time.monotonic()
            if left <= _LAST_LOOK:
                raise UnfinishedError
            time.sleep(min(pause, left - _LAST_LOOK / 2))
            pause = min(0.1, pause * 1.5)
        if state == _TIMED_OUT:
            raise UnfinishedError
        raise ServerError(answer.errorMessage or f"the statement ended in state {state}", answer.sqlState)

    def _ask(self, method: Callable[[Any], Any], request: Any) -> Any:
        self._in_step = False
        try:
            answer = method(request)
        except (TException, ValueError, EOFError) as error:
            # The connection has its own errors: these are about what came over it.
            raise StrangeError(f"the answer is not HiveServer2's protocol: {_told(error)}") from error
        self._in_step = True
        status = answer.status
        if status is None or status.statusCode is None:
            raise StrangeError("the answer has no status")
        if status.statusCode not in _SUCCESS:
            told = status.errorMessage or f"refused with status {status.statusCode}"
            raise ServerError(told, status.sqlState, status.infoMessages or ())
        return answer


def _values(column: Any) -> list[Any]:
    """Of whatever type it is."""
    for part in vars(column).values():
        if part is not None:
            return list(part.values)
    return []


def _told(error: Exception) -> str:
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
