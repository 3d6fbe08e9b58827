"""`GET /api/v1/gate`: one answer for an orchestrator, whether a run may begin now."""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.timestamps import moment
from floe_monitor.settings.durations import parse_duration
from floe_monitor.web.responses import ProblemError
from floe_monitor.web.target_query import has_labels, parse_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.json_types import GateJson, GateTargetJson
    from floe_monitor.domain.state import TargetSnapshot

PARAMETERS = ("targets", "label", "max_age", "strict")
_USABLE = frozenset({HealthStatus.HEALTHY, HealthStatus.DEGRADED})
_YES, _NO = frozenset({"1", "true", "yes", ""}), frozenset({"0", "false", "no"})
_LONGEST_SHOWN = 64


@dataclass(frozen=True, slots=True)
class GateQuery:
    """`names` and `labels`: every target without either. `max_age`: seconds since the last probe ended."""

    names: tuple[str, ...] = ()
    labels: tuple[tuple[str, str | None], ...] = ()
    max_age: float | None = None
    strict: bool = False

    @classmethod
    def parse(cls, items: Sequence[tuple[str, str]]) -> GateQuery:
        """From query parameters; `ProblemError` 400 says what is not understood."""
        values: dict[str, list[str]] = {}
        for key, value in items:
            if key not in PARAMETERS:
                problem = f"unknown query parameter {key[:_LONGEST_SHOWN]!r}; {suggestion(key, PARAMETERS)}"
                raise ProblemError(HTTPStatus.BAD_REQUEST, problem)
            values.setdefault(key, []).append(value.strip())
        names = [name.strip() for text in values.get("targets", ()) for name in text.split(",")]
        if "targets" in values and not any(names):
            # A variable that is empty by mistake must not open the gate to whatever else is well.
            raise ProblemError(HTTPStatus.BAD_REQUEST, "targets names none: leave it out for every target")
        return cls(
            names=tuple(dict.fromkeys(filter(None, names))),
            labels=tuple(parse_label(text) for text in values.get("label", ())),
            max_age=_seconds(values["max_age"][-1]) if "max_age" in values else None,
            strict=_flag(values["strict"][-1]) if "strict" in values else False,
        )

    def select(self, named: Sequence[TargetSnapshot]) -> list[TargetSnapshot]:
        """`ProblemError` 404 where none has the labels."""
        selected = [snapshot for snapshot in named if has_labels(snapshot.target.labels, self.labels)]
        if not selected:
            problem = "no target is selected; a gate of nothing is not open"
            raise ProblemError(HTTPStatus.NOT_FOUND, problem)
        return selected

    def obstacle(self, snapshot: TargetSnapshot, now: float) -> str | None:
        """Why this target keeps the gate closed at `now` (Unix time); None where it does not."""
        status, last = snapshot.status, snapshot.last
        accepted = {HealthStatus.HEALTHY} if self.strict else _USABLE
        if last is None:
            return "not probed yet"
        if status not in accepted:
            said = f": {last.message}" if last.message and not snapshot.stale else ""
            return f"{'no probe could run' if snapshot.stale else status.word}{said}"
        age = now - last.finished_at
        if self.max_age is not None and age > self.max_age:
            return f"{status.word}, but last probed {age:.0f} s ago"
        return None


def judge(named: Sequence[TargetSnapshot], query: GateQuery) -> tuple[HTTPStatus, GateJson]:
    """200 where every one of these that has the labels can be used, else 503, and the answer's body."""
    now = time.time()
    rows: list[GateTargetJson] = []
    closed: list[str] = []
    for snapshot in query.select(named):
        obstacle = query.obstacle(snapshot, now)
        last = snapshot.last
        row: GateTargetJson = {
            "name": snapshot.target.name,
            "status": snapshot.status.word,
            "since": moment(snapshot.health.since),
            "last_validation_at": moment(last.finished_at) if last else None,
            "error_type": last.error_type if last else None,
            "obstacle": obstacle,
        }
        rows.append(row)
        if obstacle is not None:
            closed.append(f"{snapshot.target.name}: {obstacle}")
    status = HTTPStatus.SERVICE_UNAVAILABLE if closed else HTTPStatus.OK
    return status, {"open": not closed, "at": moment(now), "reasons": closed, "targets": rows}


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"max_age: {error}") from None


def _flag(text: str) -> bool:
    if text.lower() in _YES | _NO:
        return text.lower() in _YES
    raise ProblemError(HTTPStatus.BAD_REQUEST, f"strict is true or false, not {text[:_LONGEST_SHOWN]!r}")
