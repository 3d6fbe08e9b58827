"""One session on a Thrift server, by the calls and in the order of dbt-spark and PyHive."""

from __future__ import annotations

import contextlib
import math
import time
from typing import TYPE_CHECKING, Any

from TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException

from floe_monitor.compute import ComputeTimeoutError, Deadline
from floe_monitor.compute.toolkit.bounded_socket import BYTE_LIMIT
from floe_monitor_spark.errors import (
    ServerError,
    UnexpectedAnswerError,
    UnfinishedError,
    one_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor_spark.transport import BoundedTransport

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
_SILENT = 0.2
"""Share of the time for a statement that has to pass without an answer before the server counts as silent."""


class _BoundedProtocol(TBinaryProtocol):  # type: ignore[misc]  # no types
    """Reads no longer than there is time: an answer of megabytes takes seconds, with the whole of it here."""

    def __init__(self, transport: Any, base: BoundedTransport) -> None:
        super().__init__(transport, string_length_limit=BYTE_LIMIT, container_length_limit=_MOST_VALUES)
        self._base = base

    def readFieldBegin(self) -> Any:  # noqa: N802 - thrift's name
        self._base.check_time()
        return super().readFieldBegin()


class Session:
    """Not for two threads at once. It is the server's once `open` has returned."""

    stateless = False
    """Whether the connection may be used after a call that failed: each call is a request of its own."""

    def __init__(self, transport: Any, base: BoundedTransport, opening: str = "the session to open") -> None:
        """`transport` carries Thrift's messages, `base` is the one at its bottom; `opening` is what a timeout
        of `open` says it waited for."""
        self._transport = transport
        self._opening = opening
        self._base = base
        self._client = TCLIService.Client(_BoundedProtocol(transport, base))
        self._handle: Any = None
        self._in_step = True
        """Whether the next answer is that to the next question."""
        self._idle = True
        self._resting = False
        """Whether no validation uses it: the deadline of the last one has passed."""
        self.proved = False
        """Whether it was kept, and has proved itself to the validation under way."""

    def open(self, user: str, parameters: Mapping[str, str]) -> None:
        self._base.waits_for = self._opening
        request = ttypes.TOpenSessionReq(
            client_protocol=PROTOCOL, username=user, configuration=dict(parameters)
        )
        answer = self._ask(self._client.OpenSession, request)
        if answer.sessionHandle is None:
            raise UnexpectedAnswerError("the server opened no session")
        self._handle = answer.sessionHandle
        if answer.serverProtocolVersion != PROTOCOL:
            raise UnexpectedAnswerError(
                f"the server speaks version {answer.serverProtocolVersion} of the protocol, dbt's driver "
                f"version {PROTOCOL} alone"
            )
        self._use_default()

    def run(self, sql: str) -> list[list[Any]]:
        """Execute it as dbt does, without blocking the server's thread; the columns of the result."""
        self._base.waits_for = "the answer to a statement"
        request = ttypes.TExecuteStatementReq(self._handle, sql, runAsync=True)
        # A server that goes on after the deadline ends the statement itself.
        request.queryTimeout = max(1, math.ceil(self._base.deadline.remaining()))
        operation = self._ask(self._client.ExecuteStatement, request).operationHandle
        self._idle = False
        try:
            columns = self._columns(operation)
        except ServerError:
            self._release(operation)
            raise
        self._release(operation)
        return columns

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._base.endpoints

    @property
    def usable(self) -> bool:
        """Whether it may serve another validation. Does not wait."""
        return self._handle is not None and self._in_step and self._idle and self._base.alive

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether it still serves, and is as a fresh one; its further waits end at `deadline`."""
        self._base.renew(proving)
        try:
            if not self._may_call():
                self._drop()
                return False
            self._use_default()
        except Exception:  # noqa: BLE001 - whatever it is, a new session runs into it in a check
            return False
        self._base.deadline = deadline
        self._resting, self.proved = False, True
        return True

    def rest(self) -> bool:
        """Nothing is to be brought back: a validation leaves no setting and no statement behind."""
        self._resting = self.usable
        return self._resting

    def close(self) -> None:
        """On the server if that can be done within `CLOSING_SECONDS`, the connection in any case."""
        try:
            if self._handle is not None and (self._in_step or self.stateless) and self._has_time_to_end():
                self._client.CloseSession(ttypes.TCloseSessionReq(self._handle))
        except Exception:  # noqa: BLE001, S110 - the verdict stands; a server ends a session with its connection
            pass
        finally:
            self._drop()

    def _has_time_to_end(self) -> bool:
        if self._resting:
            self._base.renew(Deadline.after(CLOSING_SECONDS))
            return self._may_call()
        self._base.deadline = Deadline.after(min(CLOSING_SECONDS, self._base.deadline.remaining()))
        return not self._base.deadline.expired

    def _may_call(self) -> bool:
        """Whether a call does no more than it says; asked where some time has passed since the last one."""
        return True

    def _drop(self) -> None:
        """Close the connection alone: nothing more is sent."""
        self._handle = None
        self._transport.close()

    def _use_default(self) -> None:
        """PyHive does so before it returns a connection. It also proves a session that was kept."""
        self.run("USE `default`")

    def _columns(self, operation: Any) -> list[list[Any]]:
        self._finish(operation)
        if not operation.hasResultSet:
            return []
        request = ttypes.TFetchResultsReq(operation, ttypes.TFetchOrientation.FETCH_NEXT, 1000)
        results = self._ask(self._client.FetchResults, request).results
        return [_values(column) for column in (results.columns or [])]

    def _release(self, operation: Any) -> None:
        """A session that is kept would else pile them up on the server."""
        if not self._in_step:
            return  # the connection is of no more use
        with contextlib.suppress(ServerError):
            self._ask(self._client.CloseOperation, ttypes.TCloseOperationReq(operation))
        self._idle = True

    def _finish(self, operation: Any) -> None:
        pause = 0.005
        began = answered = time.monotonic()
        while True:
            try:
                answer = self._ask(self._client.GetOperationStatus, ttypes.TGetOperationStatusReq(operation))
            except ComputeTimeoutError as error:
                now = time.monotonic()
                if now - answered < _SILENT * (now - began):
                    raise UnfinishedError from error
                raise
            answered = time.monotonic()
            state = answer.operationState
            if state == _FINISHED:
                return
            if state not in _UNDER_WAY:
                break
            left = self._base.deadline.remaining()
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
            text = f"the answer is not HiveServer2's protocol: {one_line(error)}"
            raise UnexpectedAnswerError(text) from error
        self._in_step = True
        status = answer.status
        if status is None or status.statusCode is None:
            raise UnexpectedAnswerError("the answer has no status")
        if status.statusCode not in _SUCCESS:
            said = status.errorMessage or f"refused with status {status.statusCode}"
            raise ServerError(said, status.sqlState, status.infoMessages or ())
        return answer


def _values(column: Any) -> list[Any]:
    """Of whatever type it is."""
    for part in vars(column).values():
        if part is not None:
            return list(part.values)
    return []
