"""How a target was, hour by hour or day by day: what is shown of the past, and where it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from floe_monitor.domain.health import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Unit = Literal["hours", "days"]
LENGTHS: dict[Unit, int] = {"hours": 3_600, "days": 86_400}
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Period:
    """An hour or a day from `start` on (Unix seconds): for how many seconds results of each status stood, and
    maintenance. Latencies in seconds, where they are asked for."""

    start: int
    healthy: float = 0.0
    degraded: float = 0.0
    unhealthy: float = 0.0
    maintenance: float = 0.0
    p50: float | None = None
    p95: float | None = None

    @property
    def watched(self) -> float:
        """Seconds, maintenance apart."""
        return self.healthy + self.degraded + self.unhealthy

    @property
    def failed(self) -> float:
        """The share of it in which dbt could not work."""
        return self.unhealthy / self.watched if self.watched else 0.0


@dataclass(frozen=True, slots=True)
class PastChange:
    """A status that began at `at` (Unix seconds), after one that had lasted for so many seconds."""

    at: float
    before: HealthStatus
    after: HealthStatus
    lasted: float
    error_type: str | None
    message: str


@dataclass(frozen=True, slots=True)
class TargetPast:
    """What one target's page tells. `changes` newest first."""

    hours: tuple[Period, ...] = ()
    days: tuple[Period, ...] = ()
    changes: tuple[PastChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Strip:
    """`periods` oldest first; those without any result are not there."""

    unit: Unit
    periods: tuple[Period, ...] = field(default=())

    @property
    def uptime(self) -> float | None:
        return uptime(self.periods)


class PastSource(Protocol):
    """What is kept beyond the process. Whoever asks waits a moment at most: what takes longer is there the
    next time."""

    async def run(self) -> None:
        """Read what is asked for, until cancelled."""

    @property
    def since(self) -> float | None:
        """When the oldest of it was (Unix seconds), once that is known."""

    async def strips(self, names: Sequence[str], unit: Unit) -> Mapping[str, Strip]:
        """Of those that are known by then."""

    async def target(self, name: str) -> TargetPast | None:
        """None where it is not known by then."""


def uptime(periods: Iterable[Period]) -> float | None:
    """The share of the time watched in which dbt could work; None of no time."""
    usable = watched = 0.0
    for period in periods:
        usable += period.healthy + period.degraded
        watched += period.watched
    return usable / watched if watched > 0 else None
