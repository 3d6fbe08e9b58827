"""How a span of time was for each target: uptime, error budget, latency, incidents, its slowest hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.history.rollup import DAY, HOUR, Rollup, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.span import Span
    from floe_monitor.history.reader import HistoryReader

BY_HOURS = 50
"""Targets up to which a report is made of hours. Of more it is made of days, which is 24 times as fast."""
SLOWEST = 5


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day. `p95` in seconds."""

    start: int
    length: int
    p95: float


@dataclass(frozen=True, slots=True)
class TargetReport:
    """`uptime` and `budget_left` are shares; the latter is below zero where more was used than there is. Both
    are None where nothing was watched. Latencies in seconds."""

    target: str
    uptime: float | None
    objective: float
    results: int
    p50: float | None
    p95: float | None
    incidents: int
    slowest: tuple[Period, ...] = ()

    @property
    def budget_left(self) -> float | None:
        return None if self.uptime is None else 1 - (1 - self.uptime) / (1 - self.objective)


@dataclass(frozen=True, slots=True)
class Report:
    """`incidents` newest first."""

    span: Span
    targets: tuple[TargetReport, ...]
    incidents: tuple[Incident, ...]


def build_report(
    reader: HistoryReader,
    names: Sequence[str],
    span: Span,
    objective: Callable[[str], float],
    hourly_since: float,
) -> Report:
    """`objective`: the share of a target by name. Hours are kept since `hourly_since` (Unix seconds)."""
    few = len(names or reader.targets) <= BY_HOURS and span.start >= hourly_since
    length = HOUR if few else DAY
    incidents = list(reader.incidents(names, span))
    counted: dict[str, int] = {}
    for incident in incidents:
        if incident.end != "merged":
            for name in incident.members:
                counted[name] = counted.get(name, 0) + 1
    targets = [
        _of_target(name, periods, length, objective(name), counted.get(name, 0))
        for name, periods in (reader.hours if few else reader.days)(names, span)
        if periods or names
    ]
    return Report(
        span,
        tuple(targets),
        tuple(incident for incident in incidents if incident.end != "merged"),
    )


def _of_target(
    name: str, periods: Mapping[int, Rollup], length: int, objective: float, incidents: int
) -> TargetReport:
    whole = Rollup()
    slow: list[Period] = []
    for start, rollup in periods.items():
        whole.merge(rollup)
        p95 = rollup.latency.quantile(0.95)
        if p95 is not None:
            slow.append(Period(start_of(start, length), length, p95))
    slow.sort(key=lambda period: -period.p95)
    return TargetReport(
        name,
        whole.uptime,
        objective,
        whole.total,
        whole.latency.quantile(0.5),
        whole.latency.quantile(0.95),
        incidents,
        tuple(slow[:SLOWEST]),
    )
