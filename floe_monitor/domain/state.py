"""What the monitor knows now, for the packages that display it.

Only the event loop writes. Every value is immutable and replaced whole, so a reader in another thread (a
scrape) sees one moment of each target without a lock.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.availability import Availability
from floe_monitor.domain.connectivity import Reach
from floe_monitor.domain.declarations import Declarations
from floe_monitor.domain.engine_start import NEVER_SEEN, EngineStart
from floe_monitor.domain.expiry import WatchedExpiry, known_after
from floe_monitor.domain.health import Health, HealthStatus
from floe_monitor.domain.incident_log import IncidentLog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.events import ProbeResult, ProfileReconciled
    from floe_monitor.domain.maintenance import Maintenance
    from floe_monitor.domain.shards import Shard
    from floe_monitor.domain.targets import Target
    from floe_monitor.domain.worker_counts import WorkerCounts

FAILURES_KEPT = 5
Refusal = Literal["rate_limit", "unauthenticated", "forbidden", "origin", "busy"]
"""Why a request was not let in: its client asks too often, gave no right credential or one without the scope;
a page of another site asked; too many were under way."""


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
    server_address: str = ""
    """As the last validation that knew it said."""
    expiries: tuple[WatchedExpiry, ...] = ()
    engine_start: EngineStart = NEVER_SEEN
    stale: bool = False
    """No probe could run for so long that the former verdict says nothing any more."""
    maintenance: Maintenance | None = None
    """What it is in now. The verdict is what it would be without."""
    awaited: bool = False
    """`health` is what a former process has found; no result has confirmed it yet."""

    @property
    def status(self) -> HealthStatus:
        return HealthStatus.UNKNOWN if self.awaited else self.health.status

    @property
    def since(self) -> float:
        """When the status began, in Unix time; 0 before the first result."""
        return 0.0 if self.awaited else self.health.since

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
        return replace(
            self,
            health=health,
            stale=True,
            availability=self.availability.stopped(now),
            engine_start=self.engine_start.forgotten(),
        )

    def with_maintenance(self, maintenance: Maintenance | None, now: float) -> TargetSnapshot:
        """`now` by `time.monotonic`."""
        availability = self.availability.in_maintenance(maintenance is not None, now)
        return replace(self, maintenance=maintenance, availability=availability)

    def after(self, result: ProbeResult, health: Health, keep: int, now: float) -> TargetSnapshot:
        """`now` by `time.monotonic`."""
        failed = result.status is ConnectionStatus.UNHEALTHY
        whole = not failed and result.worker == "returned"
        return replace(
            self,
            health=health,
            last=result,
            last_success_at=self.last_success_at if failed else result.finished_at,
            history=(*self.history, result)[-keep:] if keep else (),
            failures=(*self.failures, result)[-FAILURES_KEPT:] if failed else self.failures,
            availability=self.availability.after(result.status, now),
            server_address=result.server_address or self.server_address,
            expiries=known_after(self.expiries, result.expiries, whole=whole),
            engine_start=self.engine_start.after(result.engine_states),
            stale=False,
            awaited=False,
        )


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


@dataclass(frozen=True, slots=True)
class ChannelCounts:
    """Messages of one channel: `failed` attempts, `dead` ones that were given up, `held` notices that wait
    for the end of quiet hours or for their turn."""

    sent: int = 0
    failed: int = 0
    dead: int = 0
    pending: int = 0
    held: int = 0


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
    refused_requests: dict[Refusal, int] = field(default_factory=lambda: dict.fromkeys(get_args(Refusal), 0))
    scheduler_beat: float = 0.0
    """`time.monotonic()` of the scheduler's last turn."""
    last_probed: float = 0.0
    """`time.monotonic()` when a probe last said something of its target."""
    shortages: dict[str, Shortage] = field(default_factory=dict)
    """By target, until a probe of it says something again."""
    reach: Reach = field(default_factory=Reach)
    """How many of the targets on the network are reached."""
    first_round_done: bool = False
    """Every target has had a result."""
    keeps_history: bool = False
    """Whether one is configured."""
    history_problem: str = ""
    """Why the history is not written now, where one is kept."""
    notifications: Mapping[str, ChannelCounts] = field(default_factory=dict)
    """By channel; replaced by the notifier's thread."""
    notification_problem: str = ""
    """Why nothing of notifications outlives the process now."""
    incidents: IncidentLog = field(default_factory=IncidentLog)
    declared: Declarations = field(default_factory=Declarations)
    """What people have declared while it runs."""
    awaited_profiles: frozenset[str] = frozenset()
    """Of the profiles configured at the start, those not yet looked at even once."""

    @property
    def ready(self) -> bool:
        """Every target has a result, and every profile was written or says why not."""
        return self.first_round_done and not self.awaited_profiles

    @property
    def stuck_workers(self) -> int:
        return sum(counts.stuck for counts in self.workers.values())

    def count_refusal(self, reason: Refusal) -> None:
        self.refused_requests[reason] += 1

    def set_workers(self, counts: Mapping[str, WorkerCounts]) -> None:
        self.workers = counts

    def view(self) -> tuple[TargetSnapshot, ...]:
        """The targets as they are now, safe to walk while the loop goes on."""
        return tuple(self.targets.values())
