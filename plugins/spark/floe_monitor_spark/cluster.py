"""A Databricks cluster's state, asked before it is used: a session would start one that is terminated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from floe_monitor.compute import ConnectionStatus, EngineState, ErrorType, note_engine_state
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_spark.errors import HttpStatusError
from floe_monitor_spark.session import Session
from floe_monitor_spark.transport import request

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.http_client import HttpClient
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.transport import HttpTransport

_AWAKE = frozenset({"RUNNING", "RESIZING"})
_STARTING = frozenset({"PENDING", "RESTARTING"})
_ASLEEP = frozenset({"TERMINATED", "TERMINATING"})
_ILL = frozenset({"ERROR", "UNKNOWN"})


@dataclass(frozen=True, slots=True)
class State:
    """What the API says, and what follows from it."""

    usable: bool
    """Whether a session may be opened."""
    runs: bool
    """Whether nothing that is sent can start it: it runs, or there is no API and so nothing to start."""
    message: str = ""
    asleep: str = ""
    """What dbt's first statement waits for, where it starts the cluster."""
    status: ConnectionStatus = ConnectionStatus.HEALTHY
    error_type: ErrorType | None = None
    warning: str = ""

    def report(self, check: Check) -> None:
        if self.status is ConnectionStatus.DEGRADED:
            check.degrade(self.message, self.error_type)
        elif self.status is ConnectionStatus.UNHEALTHY and self.error_type is not None:
            check.fail(self.message, self.error_type)
        else:
            check.message = self.message
        if self.warning:
            check.warn(self.warning)


_NO_STATE = State(usable=True, runs=True, message="the server gives no cluster state")


class Cluster:
    """Asks over the connection that its session uses."""

    def __init__(self, client: HttpClient, origin: str, config: SparkConfig, token: str) -> None:
        self._client, self._config = client, config
        self._url = f"{origin}/api/2.0/clusters/get?cluster_id={quote(config.cluster or '', safe='')}"
        self._headers = {"Authorization": f"Bearer {token}"}

    def state(self) -> State:
        """Raises `SparkError` or `ComputeError` where the question got no answer that means something."""
        self._client.waits_for = "the cluster's state"
        try:
            answer = request(self._client, "GET", self._url, self._headers)
        except HttpStatusError as error:
            return self._without_answer(error)
        return self._judged(_state_in(answer))

    def _judged(self, state: str | None) -> State:
        if state in _AWAKE:
            note_engine_state(EngineState.RUNNING)
            return State(usable=True, runs=True)
        if state in _ILL:
            return _unusable(
                f"the cluster is in state {state}", ConnectionStatus.UNHEALTHY, ErrorType.CONNECTION
            )
        if state in _STARTING:
            note_engine_state(EngineState.STARTING)
            return _unusable(f"the cluster is starting ({state})")
        if state not in _ASLEEP:
            return _NO_STATE
        note_engine_state(EngineState.SUSPENDED)
        if self._config.wake_cluster:
            note_engine_state(EngineState.STARTING)  # by the session that is opened next
            return State(usable=True, runs=False)
        return State(
            usable=False,
            runs=False,
            message=f"the cluster is in state {state}",
            asleep=f"the cluster is not running ({state}): dbt's first statement starts it and waits for it, "
            "minutes as a rule; a probe does not, and nothing more was looked at",
        )

    def _without_answer(self, error: HttpStatusError) -> State:
        if error.code == "INVALID_PARAMETER_VALUE":
            return _unusable(
                f"there is no cluster {self._config.cluster!r}",
                ConnectionStatus.UNHEALTHY,
                ErrorType.CONFIGURATION,
            )
        if error.code == "PERMISSION_DENIED":
            if self._config.wake_cluster:
                warning = "the token may not see the cluster's state: a probe may start it"
                return State(usable=True, runs=False, warning=warning)
            return _unusable(
                "the token may not see the cluster's state, and a probe might start it: grant CAN ATTACH TO, "
                "or set wake_cluster",
                error_type=ErrorType.PERMISSION,
            )
        if error.status in {401, 403, 407, 408, 429} or error.status >= 500:
            raise error
        return _NO_STATE


class ClusterSession(Session):
    """Not a word goes to a cluster that a word would start: its state is asked first."""

    stateless = True

    def __init__(self, transport: HttpTransport, cluster: Cluster) -> None:
        super().__init__(transport, transport)
        self._cluster = cluster
        self.state: State | None = None
        """When it was last asked."""

    def ask_state(self) -> State:
        self.state = self._cluster.state()
        return self.state

    @property
    def usable(self) -> bool:
        return super().usable and self.state is not None and self.state.runs

    def _may_call(self) -> bool:
        return self.ask_state().runs


def _unusable(
    message: str,
    status: ConnectionStatus = ConnectionStatus.DEGRADED,
    error_type: ErrorType | None = None,
) -> State:
    return State(usable=False, runs=False, message=message, status=status, error_type=error_type)


def _state_in(answer: bytes) -> str | None:
    state = json_object(answer).get("state")
    return state if isinstance(state, str) else None
