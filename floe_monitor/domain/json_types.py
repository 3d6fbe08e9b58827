"""The shapes of JSON answers: one source for the type checker and for the OpenAPI document.

A docstring or description here is what that document says; `docs/http-api.md` says it at length.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, WithJsonSchema
from typing_extensions import TypedDict

from floe_monitor.compute.models import ErrorType, ExpiryKind
from floe_monitor.domain.events import Trigger, WorkerOutcome
from floe_monitor.domain.health import StatusWord
from floe_monitor.domain.incidents import EndReason
from floe_monitor.domain.resources import ResourceKind

Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Outcome = Literal["healthy", "degraded", "unhealthy"]
"""What a single validation or check found."""


class ExpiryJson(TypedDict):
    """What ends at a known time."""

    what: ExpiryKind
    of: Annotated[str, Field(description="Whose, where it has a name")]
    at: Moment | None
    warned_of_from: Moment | None


class CheckJson(TypedDict):
    """One step of a validation."""

    name: str
    status: Outcome
    duration_seconds: Seconds
    started_seconds: Seconds
    error_type: ErrorType | None
    message: str


class ProbeJson(TypedDict):
    """The outcome of one validation."""

    target: str
    plugin: str
    status: Outcome
    started_at: Moment | None
    duration_seconds: Seconds
    error_type: ErrorType | None
    message: str
    warnings: list[str]
    checks: list[CheckJson]
    trigger: Trigger
    worker: WorkerOutcome
    correlation_id: str
    trace_id: str | None
    span_id: str | None
    server_address: str
    expiries: list[ExpiryJson]


class MaintenanceJson(TypedDict):
    """What a target is in now; its status is what it would be without."""

    since: Moment | None
    until: Moment | None
    reason: str


class TargetJson(TypedDict):
    """What is known of a target now."""

    name: str
    plugin: str
    status: StatusWord
    up: bool
    stale: Annotated[bool, Field(description="No probe could run for so long that the status is unknown")]
    since: Moment | None
    last_status: Outcome | None
    last_validation_at: Moment | None
    last_success_at: Moment | None
    last_duration_seconds: Seconds | None
    error_type: ErrorType | None
    message: str
    warnings: list[str]
    checks: Annotated[dict[str, Outcome], Field(description="By name")]
    consecutive_failures: Count
    status_changes: Count
    maintenance: MaintenanceJson | None
    labels: dict[str, str]
    server_address: str
    expiries: list[ExpiryJson]


class PolicyJson(TypedDict):
    """The probe settings in force."""

    interval_seconds: Seconds
    failing_interval_seconds: Seconds
    timeout_seconds: Seconds
    failure_threshold: Count
    failure_window: Count
    success_threshold: Count
    success_window: Count
    isolation: Literal["thread", "process"]


class ProvenanceJson(TypedDict):
    """Where the plugin comes from, and why it cannot be used, if it cannot."""

    distribution: str | None
    version: str | None
    problem: str | None


class TargetDetailJson(TargetJson):
    """A target in full. Results are newest first."""

    policy: PolicyJson
    provenance: ProvenanceJson
    configuration: Annotated[dict[str, Any], Field(description="References to credentials, never a value")]
    last: ProbeJson | None
    history: list[ProbeJson]
    failures: list[ProbeJson]


class CountsJson(TypedDict):
    """How many targets have each status."""

    unknown: Count
    healthy: Count
    degraded: Count
    unhealthy: Count


class VerdictJson(TypedDict):
    """Whether the monitor itself is live, or ready."""

    status: Literal["ok", "failing"]
    reasons: list[str]


class ProfileJson(TypedDict):
    """What became of the last look at a profile."""

    result: Literal["written", "unchanged", "refused", "foreign_owner", "failed"]
    at: Moment | None
    message: str


class ShardJson(TypedDict):
    """Which part of the targets this monitor has."""

    index: Count
    count: Count
    replicas: Count
    watched_targets: Count
    configured_targets: Count
    keeps_profiles: bool


class ConfigurationJson(TypedDict):
    """Of the last attempt to load the configuration, and of the one in force."""

    generation: Count
    loaded_at: Moment | None
    attempted_at: Moment | None
    last_reload_successful: bool
    problems: list[str]


class WorkersJson(TypedDict):
    """Workers of one plugin; the busy ones include the stuck."""

    busy: Count
    stuck: Count
    limit: Count


class ChannelJson(TypedDict):
    """Messages of one channel for notifications."""

    sent: Count
    failed_attempts: Count
    given_up: Count
    pending: Count
    held: Annotated[
        Count, Field(description="Notices that wait for the end of quiet hours, or for their turn")
    ]


class NotificationsJson(TypedDict):
    """What became of notifications."""

    channels: Annotated[dict[str, ChannelJson], Field(description="By name")]
    problem: Annotated[str | None, Field(description="Why nothing of them outlives the process now")]


class StatusJson(TypedDict):
    """The monitor itself."""

    version: str
    started_at: Moment | None
    live: VerdictJson
    ready: VerdictJson
    targets: CountsJson
    configuration: ConfigurationJson
    workers: Annotated[dict[str, WorkersJson], Field(description="By plugin")]
    shard: ShardJson | None
    profiles: Annotated[dict[str, ProfileJson], Field(description="By name")]
    dropped_events: Annotated[dict[str, Count], Field(description="By sink")]
    history_problem: Annotated[str | None, Field(description="Why the history is not written now")]
    notifications: NotificationsJson


class ReloadedJson(TypedDict):
    """What a new configuration has changed: names of targets, and sections that wait for a restart."""

    at: Moment | None
    added: list[str]
    changed: list[str]
    removed: list[str]
    waiting_for_restart: list[str]


class ResourceJson(TypedDict):
    """What targets share."""

    kind: ResourceKind
    name: str


class IncidentJson(TypedDict):
    """Targets that fail alike, from when to when, and why."""

    id: str
    state: Literal["open", "ended"]
    status: StatusWord
    worst_status: StatusWord
    began_at: Moment | None
    ended_at: Moment | None
    duration_seconds: Seconds | None
    end: EndReason | None
    merged_into: str | None
    cause: ResourceJson | None
    error_type: ErrorType | None
    message: str
    targets: Annotated[list[str], Field(description="The first twenty members")]
    targets_total: Count


class MemberJson(TypedDict):
    """A target's part in an incident."""

    target: str
    plugin: str
    status: StatusWord
    worst_status: StatusWord
    began_at: Moment | None
    ended_at: Moment | None
    end: EndReason | None
    error_type: ErrorType | None
    shares: list[ResourceJson]


class ReasonJson(TypedDict):
    """What was wrong with a member from a moment on."""

    at: Moment | None
    target: str
    status: StatusWord
    error_type: ErrorType | None
    message: str


class IncidentDetailJson(IncidentJson):
    """An incident in full; reasons oldest first, the first and the last of them."""

    members: list[MemberJson]
    reasons: list[ReasonJson]
    reasons_dropped: Count


class TargetListJson(TypedDict):
    """`total` counts what matched, `counts` every target. With `fields`, rows have these alone."""

    total: Count
    counts: CountsJson
    targets: list[TargetJson]


class IncidentListJson(TypedDict):
    """`total` counts what matched, `open` all that have not ended."""

    total: Count
    open: Count
    incidents: list[IncidentJson]


class GateTargetJson(TypedDict):
    """`obstacle` says why the target keeps the gate closed; null where it does not."""

    name: str
    status: StatusWord
    since: Moment | None
    last_validation_at: Moment | None
    error_type: ErrorType | None
    obstacle: str | None


class GateJson(TypedDict):
    """Whether every target asked about can be used."""

    open: bool
    at: Moment | None
    reasons: list[str]
    targets: list[GateTargetJson]


class ProblemJson(TypedDict):
    """A problem object of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    nearest: NotRequired[Annotated[str | None, Field(description="What may have been meant")]]
    problems: NotRequired[Annotated[list[str], Field(description="Of a configuration that was refused")]]
