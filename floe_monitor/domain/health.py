"""From results to the health of a target: pure functions of their arguments, clock included.

A status moves to a worse one when `failure_threshold` of the last `failure_window` results are at least
that bad, and to a better one when `success_threshold` of the last `success_window` are at least that good.
A window as long as its threshold means results in a row. A result moves the status in its own direction
only, and no further than itself: one that is well is no reason for a worse status, whatever the window still
holds. A target starts UNKNOWN and leaves it by the same rule, so a threshold holds from the first probe on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, cast

from floe_monitor.compute.models import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


StatusWord = Literal["unknown", "healthy", "degraded", "unhealthy"]


class HealthStatus(IntEnum):
    """The smoothed health of a target; the numbers are those of the exported gauge."""

    UNKNOWN = 0
    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3

    @property
    def word(self) -> StatusWord:
        """The status as people read it: `healthy`."""
        return cast("StatusWord", self.name.lower())

    @property
    def is_up(self) -> bool:
        return self in (HealthStatus.HEALTHY, HealthStatus.DEGRADED)

    @classmethod
    def of(cls, status: ConnectionStatus) -> HealthStatus:
        return cls(status.severity)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many results a change of status takes, of how many of the last ones. All at least 1.

    A window of 0 is as long as its threshold.
    """

    failure: int = 1
    success: int = 1
    failure_window: int = 0
    success_window: int = 0

    @property
    def last_for_failure(self) -> int:
        return self.failure_window or self.failure

    @property
    def last_for_success(self) -> int:
        return self.success_window or self.success


@dataclass(frozen=True, slots=True)
class Health:
    """A target's health after some results. Times are Unix seconds; `recent` is newest last."""

    status: HealthStatus = HealthStatus.UNKNOWN
    since: float = 0.0
    consecutive_failures: int = 0
    consecutive_successes: int = 0
    status_changes: int = 0
    recent: tuple[HealthStatus, ...] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of status, and how long the former one had lasted, in seconds."""

    before: HealthStatus
    after: HealthStatus
    at: float
    lasted: float


def advance(
    health: Health, observed: ConnectionStatus, at: float, thresholds: Thresholds
) -> tuple[Health, Transition | None]:
    """The health after one more result, and the transition if it brought one.

    A failure is an UNHEALTHY result; a DEGRADED one counts as a success for the counters, since dbt can work.
    """
    result = HealthStatus.of(observed)
    keep = max(thresholds.last_for_failure, thresholds.last_for_success)
    recent = (*health.recent, result)[-keep:]
    status = _next_status(health.status, recent, thresholds)
    failed = result is HealthStatus.UNHEALTHY
    changed = status is not health.status
    after = Health(
        status=status,
        since=at if changed else health.since,
        consecutive_failures=health.consecutive_failures + 1 if failed else 0,
        consecutive_successes=0 if failed else health.consecutive_successes + 1,
        # Learning the first status is not a change of it.
        status_changes=health.status_changes + (changed and health.status is not HealthStatus.UNKNOWN),
        recent=recent,
    )
    if not changed:
        return after, None
    return after, Transition(health.status, status, at, max(0.0, at - health.since) if health.since else 0.0)


def _next_status(
    status: HealthStatus, recent: Sequence[HealthStatus], thresholds: Thresholds
) -> HealthStatus:
    result = recent[-1]
    by_failure = sorted(recent[-thresholds.last_for_failure :], reverse=True)
    by_success = sorted(recent[-thresholds.last_for_success :])
    at_least = by_failure[thresholds.failure - 1] if len(by_failure) >= thresholds.failure else None
    at_most = by_success[thresholds.success - 1] if len(by_success) >= thresholds.success else None
    if status is HealthStatus.UNKNOWN:
        if at_most is not None and at_most.is_up and result.is_up:
            return max(at_most, result)
        return HealthStatus.UNHEALTHY if at_least is result is HealthStatus.UNHEALTHY else status
    if at_least is not None and min(at_least, result) > status:
        return min(at_least, result)
    if at_most is not None and max(at_most, result) < status:
        return max(at_most, result)
    return status
