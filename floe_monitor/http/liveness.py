"""Is the monitor itself well? Pure functions of its state and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floe_monitor.state import MonitorState

BEAT_AGE_LIMIT = 15.0
"""Seconds without a turn of the scheduler that mean it has stalled; it turns at least once a second."""

_NAMED = 5


@dataclass(frozen=True, slots=True)
class LivenessLimits:
    """`stuck`: stuck workers at which a restart is the only cure left."""

    stuck: int
    beat_age: float = BEAT_AGE_LIMIT


@dataclass(frozen=True, slots=True)
class Verdict:
    """Well when there is no reason against it."""

    reasons: tuple[str, ...] = ()

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
        reasons.append(f"{stuck} stuck workers (limit {limits.stuck}): {where}")
    return Verdict(tuple(reasons))


def readiness(state: MonitorState) -> Verdict:
    """Whether every target has had its first result, so that what is shown is an answer."""
    if state.first_round_done:
        return Verdict()
    waiting = [snapshot.target.name for snapshot in state.view() if snapshot.last is None]
    named = ", ".join(waiting[:_NAMED])
    more = f" and {len(waiting) - _NAMED} more" if len(waiting) > _NAMED else ""
    return Verdict((f"the first round is not complete; waiting for: {named or 'the scheduler'}{more}",))
