"""What one target's page tells, made of its snapshot and of what is kept beyond the process. All pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.maintenance import Maintenance, maintenance_at
from floe_monitor.domain.remediation import remediation_for
from floe_monitor.domain.uptime import LENGTHS, Strip
from floe_monitor.web import status_bar
from floe_monitor.web.latency_chart import Chart, chart_of_periods, chart_of_results
from floe_monitor.web.result_comparison import Difference, changed_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from floe_monitor.compute.models import CheckResult
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.maintenance import WindowChoice
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.domain.uptime import PastChange, TargetPast

CHANGES = 30
"""Changes of status shown."""
PLANNED = 7 * 86_400.0
"""Seconds ahead within which the next maintenance is shown."""
_DIGITS = re.compile(r"\d+")
_GAP = 3.0
"""Intervals between two results after which others may have been between them."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Results that failed alike, one after the other. `open_start`: earlier ones may not be in memory."""

    newest: ProbeResult
    count: int
    began_at: float
    ended_at: float
    lasts: bool = False
    open_start: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """One check of the waterfall, in percent of the whole validation."""

    check: CheckResult
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """One strip of the past. `marks`: place and words of each bar that has something to say."""

    name: str
    drawing: status_bar.Drawing
    marks: tuple[tuple[int, str], ...]
    axis: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TargetView:
    timelines: tuple[Timeline, ...]
    chart: Chart | None
    waterfall: tuple[Bar, ...]
    failures: tuple[Failures, ...]
    changes: tuple[PastChange, ...]
    remediation: str | None
    differences: tuple[Difference, ...]
    planned: Maintenance | None
    incident: Incident | None
    kept: bool


def build(
    snapshot: TargetSnapshot, past: TargetPast | None, state: MonitorState, now: float, *, kept: bool
) -> TargetView:
    """`kept`: whether a history is; `past` is None where it is not, or not read yet."""
    last = snapshot.last
    timelines: tuple[Timeline, ...] = ()
    chart = chart_of_results(snapshot.history)
    if past is not None:
        timelines = tuple(
            timeline(each, now) for each in (Strip("days", past.days), Strip("hours", past.hours))
        )
        chart = chart_of_periods(past.hours, now) or chart
    return TargetView(
        timelines=timelines,
        chart=chart,
        waterfall=waterfall(last) if last else (),
        failures=fold(merged(snapshot), snapshot),
        changes=past.changes[:CHANGES] if past is not None else (),
        remediation=remediation_for(last) if last else None,
        differences=changed_before(snapshot, state.config.loaded_at, state.config.generation),
        planned=next_maintenance(snapshot, [each.window for each in state.declared.maintenance], now),
        incident=state.incidents.of(snapshot.target.name),
        kept=kept,
    )


def timeline(past: Strip, now: float) -> Timeline:
    length = LENGTHS[past.unit]
    first = (int(now // length) - status_bar.BARS + 1) * length
    marks = tuple(
        (
            round((period.start - first) / length) * status_bar.STEP,
            status_bar.describe_period(period, past.unit),
        )
        for period in past.periods
        if first <= period.start <= now
    )
    axis = (first, first + status_bar.BARS * length / 3, first + status_bar.BARS * length * 2 / 3, now)
    return Timeline(past.unit, status_bar.draw_strip(past, now), marks, axis)


def waterfall(result: ProbeResult) -> tuple[Bar, ...]:
    whole = max(
        [result.duration * 1000, *(check.started_ms + check.latency_ms for check in result.checks)],
        default=0.0,
    )
    if whole <= 0:
        return tuple(Bar(check, 0.0, 100.0) for check in result.checks)
    bars = []
    for check in result.checks:
        x = min(99.0, max(0.0, 100 * check.started_ms / whole))
        bars.append(Bar(check, round(x, 2), round(min(100 - x, max(1.0, 100 * check.latency_ms / whole)), 2)))
    return tuple(bars)


def merged(snapshot: TargetSnapshot) -> list[ProbeResult]:
    """All results in memory, oldest first: failures outlive the others."""
    kept = {(result.started_at, result.correlation_id): result for result in snapshot.failures}
    kept.update({(result.started_at, result.correlation_id): result for result in snapshot.history})
    return [kept[key] for key in sorted(kept)]


def fold(results: Sequence[ProbeResult], snapshot: TargetSnapshot) -> tuple[Failures, ...]:
    """Newest first."""
    longest = _GAP * snapshot.target.policy.longest_interval + snapshot.target.policy.timeout
    folded: list[Failures] = []
    former: ProbeResult | None = None
    for result in results:
        gap = former is not None and result.started_at - former.finished_at > longest
        alike = former is not None and not gap and _kind(former) == _kind(result)
        if result.status is not ConnectionStatus.HEALTHY:
            if alike and folded:
                known = folded[-1]
                folded[-1] = replace(known, newest=result, count=known.count + 1, ended_at=result.finished_at)
            else:
                folded.append(
                    Failures(
                        result, 1, result.started_at, result.finished_at, open_start=former is None or gap
                    )
                )
        former = result
    if folded and snapshot.last is folded[-1].newest:
        folded[-1] = replace(folded[-1], lasts=True)
    return tuple(reversed(folded))


def _kind(result: ProbeResult) -> tuple[object, ...]:
    """Numbers aside: durations and ports differ from one failure to the next."""
    return result.status, result.error_type, _DIGITS.sub("0", result.message)


def next_maintenance(
    snapshot: TargetSnapshot, declared: Iterable[WindowChoice], now: float
) -> Maintenance | None:
    """The next window to begin within a week, configured or declared, where the target is in none now."""
    if snapshot.maintenance is not None:
        return None
    target = snapshot.target
    own = (choice.window for choice in declared if choice.applies(target.name, target.labels))
    windows = (*target.windows, *own)
    begins = [begin for window in windows if (begin := window.recurrence.after(now)) is not None]
    begin = min(begins, default=None)
    if begin is None or begin - now > PLANNED:
        return None
    return maintenance_at(windows, begin)
