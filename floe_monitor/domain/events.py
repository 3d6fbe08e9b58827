"""What happened, as values: the one vocabulary between the packages that act and those that export.

Whoever acts calls a `Publish`; each sink (Prometheus, OTLP, logging) handles events in a thread of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from floe_monitor.compute.models import CheckResult, ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from floe_monitor.compute.models import ObservedState
    from floe_monitor.domain.declarations import Declarations
    from floe_monitor.domain.expiry import WatchedExpiry
    from floe_monitor.domain.health import Health, Transition
    from floe_monitor.domain.incidents import Incident

SkipReason = Literal["running", "stuck", "no_slot", "late", "shortage"]
"""Why a tick did not become a probe: the target's last probe still runs, or hangs past its deadline; every
slot was taken until the next tick; the tick's time had passed before the scheduler woke; or the monitor
itself had no descriptor, thread or memory for it."""

WorkerOutcome = Literal["returned", "reclaimed", "stuck"]
"""What became of the worker: it returned; it was killed and its slot freed; it still hangs."""

Trigger = Literal["schedule", "request"]


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """The outcome of one probe.

    `duration` is measured by the runner in seconds, from the moment the worker began; waiting for a slot is
    not in it. `started_at` is Unix time. `trace_id` and `span_id` are lower-case hex, None while tracing is
    off. No string here holds a credential: the runner scrubs them.
    """

    target: str
    plugin: str
    status: ConnectionStatus
    duration: float
    started_at: float
    correlation_id: str
    message: str = ""
    warnings: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    error_type: ErrorType | None = None
    trigger: Trigger = "schedule"
    worker: WorkerOutcome = "returned"
    trace_id: str | None = None
    span_id: str | None = None
    server_address: str = ""
    """The name of the server that was asked; empty where none was, or nobody said."""
    expiries: tuple[WatchedExpiry, ...] = ()
    engine_states: tuple[ObservedState, ...] = ()
    """Of an engine that rests while nobody uses it: as it was seen, in that order."""

    @property
    def finished_at(self) -> float:
        return self.started_at + self.duration


@dataclass(frozen=True, slots=True)
class ProbeFinished:
    result: ProbeResult
    health: Health
    transition: Transition | None
    db_system: str = ""


@dataclass(frozen=True, slots=True)
class TickSkipped:
    target: str
    plugin: str
    reason: SkipReason
    count: int = 1


@dataclass(frozen=True, slots=True)
class ShortageBegan:
    """The monitor itself is short of `what`, and was not before; no probe that needs it says anything."""

    what: str


@dataclass(frozen=True, slots=True)
class ShortageEnded:
    """Every target could be probed again, after `lasted` seconds."""

    lasted: float


@dataclass(frozen=True, slots=True)
class ProbeStarted:
    """`lag`: seconds between the tick's time and its start (None when asked for by request);
    `slot_wait`: seconds it waited for a slot."""

    target: str
    plugin: str
    lag: float | None
    slot_wait: float


@dataclass(frozen=True, slots=True)
class LateReturn:
    """A worker past its deadline has returned, `overdue` seconds late; its result was dropped."""

    target: str
    plugin: str
    overdue: float


@dataclass(frozen=True, slots=True)
class TargetStale:
    """No probe of the target could run for `silent` seconds: its status is unknown from now on."""

    target: str
    plugin: str
    silent: float


@dataclass(frozen=True, slots=True)
class TargetHung:
    """A validation that still hangs counted as one more failure, and that changed the target's status."""

    target: str
    plugin: str
    transition: Transition


@dataclass(frozen=True, slots=True)
class ConnectivityLost:
    """Not one of the targets on the network is reached, `targets` in number; one or more was before."""

    targets: int


@dataclass(frozen=True, slots=True)
class ConnectivityRegained:
    """One of them is reached again, or so few are left that they say nothing, after `lasted` seconds."""

    lasted: float


@dataclass(frozen=True, slots=True)
class MaintenanceBegan:
    """These targets are in the same maintenance, from now until `until` (Unix time) at least."""

    targets: tuple[str, ...]
    reason: str
    until: float


@dataclass(frozen=True, slots=True)
class MaintenanceEnded:
    """These targets' maintenance, which began at `since`, is over `at` this moment (both Unix time)."""

    targets: tuple[str, ...]
    reason: str
    since: float
    at: float


@dataclass(frozen=True, slots=True)
class ConfigReloaded:
    """A configuration was applied (`problems` empty) or refused. `problems` are ready to print; `waiting`
    names sections whose changes take effect at the next start."""

    at: float
    problems: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProfileGenerated:
    """One call of a plugin's `generate_dbt_profile`; `duration` in seconds."""

    plugin: str
    duration: float


@dataclass(frozen=True, slots=True)
class ProfileReconciled:
    """`result`: `written`, `unchanged`, `refused` (existing file unusable), `foreign_owner` (another daemon
    holds this profile) or `failed`. `message` says why for the last three; for the others, which copy was
    made and what stays in the profile without being configured."""

    profile: str
    result: Literal["written", "unchanged", "refused", "foreign_owner", "failed"]
    at: float
    message: str = ""


@dataclass(frozen=True, slots=True)
class Acted:
    """Somebody asked over HTTP for something to be done. `by`: a credential's name, `local` or `anonymous`;
    `outcome`: the status a probe found, what became of a reload, or why nothing was done."""

    at: float
    action: str
    target: str | None
    by: str
    client: str
    outcome: str
    status: int


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident has begun, has other members, reasons or statuses, or has ended; as it is now."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class DeclarationsChanged:
    """One-off maintenance or an announcement was declared or ended; as they all are now."""

    declared: Declarations


Event: TypeAlias = (
    ProbeFinished
    | TickSkipped
    | ShortageBegan
    | ShortageEnded
    | ProbeStarted
    | LateReturn
    | TargetStale
    | TargetHung
    | ConnectivityLost
    | ConnectivityRegained
    | MaintenanceBegan
    | MaintenanceEnded
    | ConfigReloaded
    | ProfileGenerated
    | ProfileReconciled
    | Acted
    | IncidentChanged
    | DeclarationsChanged
)

Publish = Callable[[Event], None]
"""Never blocks and never raises."""


class Sink(Protocol):
    """An exporter of events. `handle` is called from one thread of the sink's own, never concurrently."""

    @property
    def name(self) -> str:
        """A short word: it is a label value."""

    def handle(self, event: Event) -> None: ...
