"""One session on a Thrift server, by the calls and in the order of dbt-spark and PyHive."""

from __future__ import annotations

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
    TimedOutError,
)
from floe_monitor_spark.wire import LIMIT, LinkTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor_spark.leaving import Calls
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
_CLOSING_SECONDS = 0.5


class PatientSasl(PureSASLClient):  # type: ignore[misc]  # no types
    """Asks the Kerberos library in a thread that can be left behind."""

    def __init__(self, calls: Calls, link: Link, **keys: Any) -> None:
        super().__init__(**keys)
        self._calls, self._link = calls, link

    def process(self, challenge: bytes | None = None) -> Any:
        left = self._link.expires_at - time.monotonic()
        step = partial(super().process, challenge)
        return self._calls.within(left, ("kerberos", id(self)), step)


def plain_login(link: Link, **keys: Any) -> Any:
    """A transport past SASL PLAIN. Raises `RefusedError` where the server says no."""
    return _logged_in(link, partial(PureSASLClient, **keys), "PLAIN")


def kerberos_login(link: Link, calls: Calls, **keys: Any) -> Any:
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

    def __init__(self, transport: Any, link: Link | None, expires_at: float) -> None:
        """`link` is the one connection of the session, where it has one; HTTP may use several."""
        self._transport = transport
        self._link = link
        self._expires_at = expires_at
        self._client = TCLIService.Client(
            TBinaryProtocol(transport, string_length_limit=LIMIT, container_length_limit=LIMIT)
        )
        self._handle: Any = None

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

    def run(self, sql: str) -> list[list[Any]]:
        """Execute it as dbt does, without blocking the server's thread; the columns of the result."""
        if self._link is not None:
            self._link.waits_for = "the answer to a statement"
        request = ttypes.TExecuteStatementReq(self._handle, sql, runAsync=True)
        # A server that goes on after we gave up ends the statement itself.
        request.queryTimeout = max(1, math.ceil(self._expires_at - time.monotonic()))
        operation = self._ask(self._client.ExecuteStatement, request).operationHandle
        self._finish(operation)
        columns: list[list[Any]] = []
        if operation.hasResultSet:
            request = ttypes.TFetchResultsReq(operation, ttypes.TFetchOrientation.FETCH_NEXT, 1000)
            results = self._ask(self._client.FetchResults, request).results
            columns = [_values(column) for column in (results.columns or [])]
        return columns

    def close(self) -> None:
        """Ends the session on the server if that can be done at once, the connection in any case."""
        try:
            if self._handle is not None:
                if self._link is not None:
                    self._link.expires_at = min(self._link.expires_at, time.monotonic() + _CLOSING_SECONDS)
                self._client.CloseSession(ttypes.TCloseSessionReq(self._handle))
        except Exception:  # noqa: BLE001, S110 - the verdict stands; a server ends a session with its connection
            pass
        finally:
            self._handle = None
            self._transport.close()

    def _finish(self, operation: Any) -> None:
        pause = 0.005
        while True:
            answer = self._ask(self._client.GetOperationStatus, ttypes.TGetOperationStatusReq(operation))
            state = answer.operationState
            if state == _FINISHED:
                return
            if state not in _UNDER_WAY:
                break
            left = self._expires_at - time.monotonic()
            if left <= pause:
                raise TimedOutError("the statement to end")
            time.sleep(pause)
            pause = min(0.1, pause * 1.5)
        if state == _TIMED_OUT:
            raise TimedOutError("the statement to end")
        raise ServerError(answer.errorMessage or f"the statement ended in state {state}", answer.sqlState)

    def _ask(self, method: Callable[[Any], Any], request: Any) -> Any:
        try:
            answer = method(request)
        except (TException, ValueError, EOFError) as error:
            # The connection has its own errors: these are about what came over it.
            raise StrangeError(f"the answer is not HiveServer2's protocol: {_told(error)}") from error
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
