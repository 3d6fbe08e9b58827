"""From results to the health of a target: pure functions of their arguments, clock included.

A status moves to a worse one when `failure_threshold` results in a row are at least that bad, and to a better
one when `success_threshold` results in a row are at least that good. A target starts UNKNOWN and leaves it
by the same rule, so a threshold holds from the first probe on.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


class HealthStatus(IntEnum):
    """The smoothed health of a target; the numbers are those of the exported gauge."""

    UNKNOWN = 0
    HEALTHY = 1
    DEGRADED = 2
    UNHEALTHY = 3

    @property
    def word(self) -> str:
        """The status as people read it: `healthy`."""
        return self.name.lower()

    @property
    def is_up(self) -> bool:
        return self in (HealthStatus.HEALTHY, HealthStatus.DEGRADED)

    @classmethod
    def of(cls, status: ConnectionStatus) -> HealthStatus:
        return cls(status.severity)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How many results in a row a change of status takes. Both at least 1."""

    failure: int = 1
    success: int = 1


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
    keep = max(thresholds.failure, thresholds.success)
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
    last_failures = recent[-thresholds.failure :]
    last_successes = recent[-thresholds.success :]
    at_least = min(last_failures) if len(last_failures) == thresholds.failure else None
    at_most = max(last_successes) if len(last_successes) == thresholds.success else None
    if status is HealthStatus.UNKNOWN:
        if at_most is not None and at_most.is_up:
            return at_most
        return HealthStatus.UNHEALTHY if at_least is HealthStatus.UNHEALTHY else status
    if at_least is not None and at_least > status:
        return at_least
    if at_most is not None and at_most < status:
        return at_most
    return status
