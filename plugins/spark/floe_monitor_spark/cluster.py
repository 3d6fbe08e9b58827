"""A Databricks cluster's state, asked before it is used: a session would start one that is terminated."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from floe_monitor.compute import ErrorType
from floe_monitor_spark.errors import HttpError

if TYPE_CHECKING:
    from floe_monitor.compute import Check
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.wire import Exchange

_AWAKE = frozenset({"RUNNING", "RESIZING"})
_STARTING = frozenset({"PENDING", "RESTARTING"})
_ASLEEP = frozenset({"TERMINATED", "TERMINATING"})
_ILL = frozenset({"ERROR", "UNKNOWN"})


def examine_cluster(exchange: Exchange, config: SparkConfig, token: str, check: Check) -> bool:
    """Whether a session may be opened. A server without Databricks' clusters API has nothing to wake."""
    path = f"/api/2.0/clusters/get?cluster_id={quote(config.cluster or '', safe='')}"
    try:
        answer = exchange.request("GET", path, {"Authorization": f"Bearer {token}"})
    except HttpError as error:
        return _without_state(error, config, check)
    state = _field(answer, "state")
    if state in _ILL:
        check.fail(f"the cluster is in state {state}", ErrorType.CONNECTION)
        return False
    if state in _STARTING:
        check.degrade(f"the cluster is starting ({state})")
        return False
    if state in _ASLEEP and not config.wake_cluster:
        check.degrade(f"the cluster is asleep ({state}): dbt's first statement starts it, a probe does not")
        return False
    if state not in _AWAKE | _ASLEEP:
        check.message = "the server tells no cluster state"
    return True


def _without_state(error: HttpError, config: SparkConfig, check: Check) -> bool:
    if error.code == "INVALID_PARAMETER_VALUE":
        check.fail(f"there is no cluster {config.cluster!r}", ErrorType.CONFIGURATION)
        return False
    if error.code == "PERMISSION_DENIED":
        if config.wake_cluster:
            check.warn("the token may not see the cluster's state: a probe may start it")
            return True
        check.degrade(
            "the token may not see the cluster's state, and a probe might start it: grant CAN ATTACH TO, or "
            "set wake_cluster",
            ErrorType.PERMISSION,
        )
        return False
    if error.status in {401, 403, 407, 408, 429} or error.status >= 500:
        raise error
    check.message = "the server tells no cluster state"
    return True


def _field(answer: bytes, name: str) -> Any:
    try:
        found = json.loads(answer)
    except ValueError:
        return None
    return found.get(name) if isinstance(found, dict) else None
