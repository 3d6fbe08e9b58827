"""Liveness and readiness of the monitor: pure functions of its state and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.domain.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.state import MonitorState

BEAT_AGE_LIMIT = 15.0
"""Seconds without a turn of the scheduler that mean it has stalled; it turns at least once a second."""

SHORTAGE_LIMIT = 60.0
"""Seconds for which a shortage of the monitor's own keeps it from probing anything, after which only a
restart helps."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class LivenessLimits:
    """`stuck`: the number of stuck workers from which on only a restart helps."""

    stuck: int
    beat_age: float = BEAT_AGE_LIMIT
    shortage: float = SHORTAGE_LIMIT


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok` where there is no reason against it. `remarks` are what else should be known."""

    reasons: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.reasons


def liveness(state: MonitorState, now: float, limits: LivenessLimits, started: float = 0.0) -> Verdict:
    """Whether a restart could not do better. `now` and `started` are on `time.monotonic`'s clock.

    Before its first turn the scheduler's age counts from `started`.
    """
    reasons = []
    age = now - max(state.scheduler_beat, started)
    if age > limits.beat_age:
        reasons.append(f"the scheduler has made no progress for {age:.1f} s (limit {limits.beat_age:g} s)")
    stuck = state.stuck_workers
    if stuck >= limits.stuck:
        where = ", ".join(f"{name}: {c.stuck}" for name, c in sorted(state.workers.items()) if c.stuck)
        reasons.append(f"{counted(stuck, 'stuck worker')} (limit {limits.stuck}): {where}")
    remarks: list[str] = []
    if state.shortages:
        short, lasting = _shortage(state, now, limits.shortage)
        (reasons if lasting else remarks).append(short)
    reach = state.reach
    if reach.is_lost:
        what = f"the monitor's own connectivity: none of {reach.targets} targets on the network is reached"
        remarks.append(what)
    return Verdict(tuple(reasons), tuple(remarks))


def _shortage(state: MonitorState, now: float, limit: float) -> tuple[str, bool]:
    """What to say of it, and whether it has kept the monitor from probing anything for `limit` seconds."""
    shortages = dict(state.shortages)
    longest = min(shortages.values(), key=lambda shortage: shortage.since)
    age = now - longest.since
    lasting = age >= limit and now - state.last_probed >= limit
    beyond = f" (limit {limit:g} s)" if lasting else ""
    return f"{longest.what}: for {age:.1f} s{beyond} no probe of {_some(sorted(shortages))}", lasting


def readiness(state: MonitorState) -> Verdict:
    """Whether every target has had its first result and every profile was looked at once, so that what is
    shown is an answer and a job may start."""
    reasons = []
    if not state.first_round_done:
        waiting = [snapshot.target.name for snapshot in state.view() if snapshot.last is None]
        named = _some(waiting) or "the scheduler"
        reasons.append(f"the first round is not complete; waiting for: {named}")
    if state.awaited_profiles:
        reasons.append(f"profiles not yet reconciled: {_some(sorted(state.awaited_profiles))}")
    return Verdict(tuple(reasons))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
