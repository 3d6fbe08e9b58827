"""What the monitor knows now, for the packages that display it.

Only the event loop writes. Every value is immutable and replaced whole, so a reader in another thread (a
scrape) sees one moment of each target without a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.availability import Availability
from floe_monitor.domain.health import Health, HealthStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.events import ProbeResult, ProfileReconciled
    from floe_monitor.domain.shards import Shard
    from floe_monitor.domain.targets import Target

FAILURES_KEPT = 5


@dataclass(frozen=True, slots=True)
class TargetSnapshot:
    """One target at one moment. `history` is newest last; failures outlive successes in `failures`."""

    target: Target
    health: Health = field(default_factory=Health)
    last: ProbeResult | None = None
    last_success_at: float | None = None
    history: tuple[ProbeResult, ...] = ()
    failures: tuple[ProbeResult, ...] = ()
    availability: Availability = field(default_factory=Availability)
    stale: bool = False
    """No probe could run for so long that the former verdict says nothing any more."""

    @property
    def status(self) -> HealthStatus:
        return self.health.status

    def as_stale(self, at: float, now: float) -> TargetSnapshot:
        """Unknown from `at` (Unix time; `now` by `time.monotonic`) on; results to come decide anew, without
        the old ones."""
        health = self.health
        known = health.status is not HealthStatus.UNKNOWN
        health = replace(
            health,
            status=HealthStatus.UNKNOWN,
            since=at,
            recent=(),
            status_changes=health.status_changes + known,
        )
        return replace(self, health=health, stale=True, availability=self.availability.stopped(now))

    def after(self, result: ProbeResult, health: Health, keep: int, now: float) -> TargetSnapshot:
        """`now` by `time.monotonic`."""
        failed = result.status is ConnectionStatus.UNHEALTHY
        return replace(
            self,
            health=health,
            last=result,
            last_success_at=self.last_success_at if failed else result.finished_at,
            history=(*self.history, result)[-keep:] if keep else (),
            failures=(*self.failures, result)[-FAILURES_KEPT:] if failed else self.failures,
            availability=self.availability.after(result.status, now),
            stale=False,
        )


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers of one plugin: `busy` includes `stuck`."""

    busy: int = 0
    stuck: int = 0
    limit: int = 0


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """Of the configuration: the last attempt to load it, and the last that succeeded (Unix seconds)."""

    loaded_at: float
    attempted_at: float
    problems: tuple[str, ...] = ()
    generation: int = 1

    @property
    def last_reload_successful(self) -> bool:
        return not self.problems


@dataclass(frozen=True, slots=True)
class Shortage:
    """Probes of a target fail for want of something of the monitor's own, `since` (`time.monotonic`)."""

    since: float
    what: str


@dataclass(slots=True)
class MonitorState:
    """The whole state. `targets` keeps the order of the configuration."""

    started_at: float
    config: ConfigStatus
    shard: Shard | None = None
    """Whose targets are watched here; None: all."""
    configured: int = 0
    """Targets of the whole configuration, whoever watches them."""
    targets: dict[str, TargetSnapshot] = field(default_factory=dict)
    workers: Mapping[str, WorkerCounts] = field(default_factory=dict)
    profiles: dict[str, ProfileReconciled] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Events each sink had to drop, by sink."""
    scheduler_beat: float = 0.0
    """`time.monotonic()` of the scheduler's last turn."""
    last_probed: float = 0.0
    """`time.monotonic()` when a probe last said something of its target."""
    shortages: dict[str, Shortage] = field(default_factory=dict)
    """By target, until a probe of it says something again."""
    first_round_done: bool = False
    """Every target has had a result."""
    awaited_profiles: frozenset[str] = frozenset()
    """Of the profiles configured at the start, those not yet looked at even once."""

    @property
    def ready(self) -> bool:
        """Every target has a result, and every profile was written or says why not."""
        return self.first_round_done and not self.awaited_profiles

    @property
    def stuck_workers(self) -> int:
        return sum(counts.stuck for counts in self.workers.values())

    def set_workers(self, counts: Mapping[str, WorkerCounts]) -> None:
        self.workers = counts

    def view(self) -> tuple[TargetSnapshot, ...]:
        """The targets as they are now, safe to walk while the loop goes on."""
        return tuple(self.targets.values())
