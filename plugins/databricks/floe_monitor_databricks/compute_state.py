"""In what state a SQL warehouse or a cluster is, by what the API says of it, and what that means for dbt.

Asking for the state starts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import EngineState, ErrorType, note_engine_state
from floe_monitor_databricks.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Check

SERVERLESS_SECONDS, CLASSIC_SECONDS, CLUSTER_SECONDS = 10, 300, 600
"""What a start may take: seconds on serverless compute, minutes where machines have to be had first."""
_STATES = {
    EngineState.SUSPENDED: frozenset({"STOPPED", "STOPPING", "TERMINATED", "TERMINATING"}),
    EngineState.STARTING: frozenset({"STARTING", "PENDING", "RESTARTING"}),
    EngineState.RUNNING: frozenset({"RUNNING", "RESIZING"}),
}
_RESTARTABLE = frozenset({"UI", "API"})
"""Sources of clusters that are people's own; those of a job or a pipeline end with it."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Compute that is asleep, and starts by itself when dbt uses it unless `stays` says why it does not."""

    what: str
    seconds: int
    state: str
    trouble: str = ""
    """Why its last start failed, or it was ended."""
    stays: str = ""

    def message(self, longest_wait: float) -> str:
        return (
            f"the {self.what} is {self.state} and starts with dbt's first statement, which waits for it: "
            f"{_duration(self.seconds)}; dbt waits for up to {longest_wait:.0f} s"
        )

    def shortfall(self, longest_wait: float) -> str | None:
        """What to say where dbt does not wait for as long as a start may take."""
        if longest_wait >= self.seconds:
            return None
        return (
            f"dbt waits for no more than {longest_wait:.0f} s (connection_parameters), and the {self.what} "
            f"may take {_duration(self.seconds)} to start: the first run may fail"
        )


def judge_warehouse(found: Mapping[str, Any], check: Check) -> Rest | None:
    """What is to be said besides where it rests; else all is said in the check."""
    state = _state(found)
    serverless = found.get("enable_serverless_compute") is True
    kind = "serverless SQL warehouse" if serverless else "SQL warehouse"
    name = _text(found, "name")
    check.message = f"{kind} {name!r} is in state {state or 'unknown'}"
    health = found.get("health")
    health = health if isinstance(health, dict) else {}
    if state in {"DELETED", "DELETING"}:
        check.fail(f"the {kind} {name!r} is deleted", ErrorType.CONFIGURATION)
    elif state in {"STOPPED", "STOPPING"}:
        trouble = _health_text(health) if _text(health, "status") == "FAILED" else ""
        seconds = SERVERLESS_SECONDS if serverless else CLASSIC_SECONDS
        stays = "it does not start by itself" if found.get("auto_resume") is False else ""
        return Rest(f"{kind} {name!r}", seconds, state.lower(), trouble, stays)
    elif state == "STARTING":
        seconds = SERVERLESS_SECONDS if serverless else CLASSIC_SECONDS
        check.degrade(
            f"the {kind} {name!r} is starting, which may take {_duration(seconds)}", ErrorType.CONNECTION
        )
    elif state != "RUNNING":
        check.degrade(f"the {kind} {name!r} is in state {state or 'unknown'}", ErrorType.CONNECTION)
    _judge_health(health, kind, name, check)
    return None


def judge_cluster(found: Mapping[str, Any], check: Check) -> Rest | None:
    """As `judge_warehouse`."""
    state, name = _state(found), _text(found, "cluster_name")
    check.message = f"cluster {name!r} is in state {state or 'unknown'}"
    if state in {"RUNNING", "RESIZING"}:
        return None
    if state in {"PENDING", "RESTARTING"}:
        check.degrade(
            f"the cluster {name!r} is starting, which may take {_duration(CLUSTER_SECONDS)}",
            ErrorType.CONNECTION,
        )
    elif state in {"TERMINATED", "TERMINATING"}:
        source = _text(found, "cluster_source")
        owned = source and source not in _RESTARTABLE
        stays = f"it is one of a {source.lower().replace('_', ' ')}" if owned else ""
        return Rest(f"cluster {name!r}", CLUSTER_SECONDS, state.lower(), _termination(found), stays)
    elif state == "ERROR":
        said = _text(found, "state_message")
        check.fail(f"the cluster {name!r} is in state ERROR{said and f': {said}'}", ErrorType.CONNECTION)
    else:
        check.degrade(f"the cluster {name!r} is in state {state or 'unknown'}", ErrorType.CONNECTION)
    return None


def _judge_health(health: Mapping[str, Any], kind: str, name: str, check: Check) -> None:
    status = _text(health, "status")
    if status in {"DEGRADED", "FAILED"}:
        check.degrade(
            f"the {kind} {name!r} is called {status.lower()}: {_health_text(health)}", ErrorType.CONNECTION
        )


def _health_text(health: Mapping[str, Any]) -> str:
    reason = health.get("failure_reason")
    code = _text(reason, "code") if isinstance(reason, dict) else ""
    said = _text(health, "summary") or _text(health, "message") or _text(health, "details")
    return ", ".join(filter(None, (said, code))) or "it does not say why"


def _termination(found: Mapping[str, Any]) -> str:
    """Why it was ended, where that was no one's wish: `type` is then none of success."""
    reason = found.get("termination_reason")
    if not isinstance(reason, dict) or _text(reason, "type") in {"", "SUCCESS"}:
        return ""
    return _text(reason, "code") or _text(found, "state_message")


def _state(found: Mapping[str, Any]) -> str:
    state = _text(found, "state")
    for seen, named in _STATES.items():
        if state in named:
            note_engine_state(seen)
    return state


def _text(found: Mapping[str, Any], key: str) -> str:
    value = found.get(key)
    return one_line(value) if isinstance(value, str) else ""


def _duration(seconds: int) -> str:
    return "some seconds" if seconds <= SERVERLESS_SECONDS else f"some minutes, up to {seconds // 60}"
