"""How all is, in one sentence, and how each target is, in words. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.web.formatters import listed, thousands
from floe_monitor.web.status_summary import WORST_FIRST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.liveness import Verdict as MonitorVerdict
    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.web.status_summary import StatusSummary

NAMED = 3
"""Targets that a sentence names; of more it gives the number alone."""

WINDOWS = 5
"""Shown at most: a calendar is no list of faults."""


@dataclass(frozen=True, slots=True)
class Overall:
    """`short` is for the title of the tab."""

    status: HealthStatus
    sentence: str
    short: str
    rest: str = ""


def overall(summary: StatusSummary, monitor: MonitorVerdict) -> Overall:
    """Targets in maintenance are counted apart: they worry nobody."""
    maintained = len(summary.in_maintenance)
    rest = _rest(summary, maintained)
    if not monitor.ok:
        sentence = "The monitor itself is not well: what it says of targets may be old"
        return Overall(HealthStatus.UNHEALTHY, sentence, "the monitor is not well", rest)
    if not summary.total:
        return Overall(HealthStatus.UNKNOWN, "No targets are configured", "no targets")
    worst = next((status for status in WORST_FIRST[:-1] if summary.alarming(status)), HealthStatus.HEALTHY)
    if worst is HealthStatus.HEALTHY:
        return Overall(worst, _all_healthy(summary, maintained), "all healthy", rest)
    words = {HealthStatus.UNKNOWN: "not known"}.get(worst, worst.word)
    short = f"{thousands(summary.alarming(worst))} {words}"
    return Overall(worst, _ill(summary, worst, words), short, rest)


def _all_healthy(summary: StatusSummary, maintained: int) -> str:
    total = summary.total
    if total == 1:
        name = summary.snapshots[0].target.name
        return f"{name} is in maintenance" if maintained else f"{name} is healthy"
    if not maintained:
        return f"All {thousands(total)} targets are healthy"
    if maintained == total:
        return "Every target is in maintenance"
    return f"All targets are healthy, but for {thousands(maintained)} in maintenance"


def _ill(summary: StatusSummary, status: HealthStatus, words: str) -> str:
    count = summary.alarming(status)
    names = [snapshot.target.name for snapshot in summary.first_alarming(status, NAMED)]
    verb = "is" if count == 1 else "are"
    if count <= NAMED and all(len(name) <= 40 for name in names):
        return f"{listed(names)} {verb} {words}"
    return f"{thousands(count)} of {thousands(summary.total)} targets {verb} {words}"


def _rest(summary: StatusSummary, maintained: int) -> str:
    alarming = [(summary.alarming(status), status.word) for status in WORST_FIRST]
    parts = [f"{thousands(count)} {word}" for count, word in alarming if count]
    if maintained:
        parts.append(f"{thousands(maintained)} in maintenance")
    return ", ".join(parts) if len(parts) > 1 else ""


def reason(snapshot: TargetSnapshot) -> str:
    """Why it has its status, in the words of its last result."""
    last = snapshot.last
    if last is None:
        return snapshot.target.entry.problem or "no result yet"
    if snapshot.stale:
        return "no probe could run for so long that the last verdict says nothing any more"
    if last.message:
        return last.message
    ill = [check for check in last.checks if check.status is not ConnectionStatus.HEALTHY]
    said = [f"{check.name}: {check.message or check.status.value}" for check in ill]
    if said or last.warnings:
        return "; ".join(said) or last.warnings[0]
    passed = ", ".join(check.name for check in last.checks[:6])
    return f"{passed} pass" if passed else last.status.value


@dataclass(frozen=True, slots=True)
class Window:
    """A maintenance that some targets are in: `names` are the first of them."""

    until: float
    reason: str
    names: str


def maintenances(snapshots: Sequence[TargetSnapshot]) -> list[Window]:
    """Those of several targets that end together for one reason are one; the first to end comes first."""
    found: dict[tuple[float, str], list[str]] = {}
    for snapshot in snapshots:
        known = snapshot.maintenance
        if known is not None:
            found.setdefault((known.until, known.reason), []).append(snapshot.target.name)
    shown = sorted(found.items())[:WINDOWS]
    return [Window(until, why, _some(names)) for (until, why), names in shown]


def _some(names: list[str]) -> str:
    if len(names) <= NAMED + 1:
        return listed(names)
    return f"{listed([*names[:NAMED], f'{thousands(len(names) - NAMED)} more'])}"
