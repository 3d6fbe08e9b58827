"""The shapes of what a history answers with, as `json_types` has those of the others."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from floe_monitor.domain.health import StatusWord
from floe_monitor.domain.json_types import Count, IncidentJson, Moment, Outcome, Seconds


class KeptResultJson(TypedDict):
    """A result as the history keeps it, without its message."""

    at: Moment
    status: Outcome
    duration_seconds: Seconds
    error_type: str | None
    maintenance: bool


class KeptChangeJson(TypedDict):
    """A status that began at `at`, after one that had lasted for so many seconds."""

    at: Moment
    before: StatusWord
    after: StatusWord
    before_lasted_seconds: Seconds
    error_type: str | None
    message: str


class KeptPeriodJson(TypedDict):
    """An hour or a day. `uptime` is a share, null where nothing was watched; seconds are those for which
    results of a status stood, maintenance apart."""

    start: Moment
    results: Count
    uptime: Annotated[float | None, Field(ge=0, le=1)]
    healthy_seconds: Seconds
    degraded_seconds: Seconds
    unhealthy_seconds: Seconds
    maintenance_seconds: Seconds
    latency_p50_seconds: Seconds | None
    latency_p95_seconds: Seconds | None


class KeptJson(TypedDict):
    """Newest first. `next` is what to send as `until` for those before; null where there are none."""

    target: str
    since: Moment | None
    until: Moment | None
    next: Moment | None


class KeptResultsJson(KeptJson):
    """Results of a target."""

    results: list[KeptResultJson]


class KeptChangesJson(KeptJson):
    """Changes of a target's status."""

    changes: list[KeptChangeJson]


class KeptPeriodsJson(KeptJson):
    """Hours or days of a target."""

    periods: list[KeptPeriodJson]


class KeptIncidentsJson(TypedDict):
    """Incidents that lasted at some time of the span, newest first."""

    since: Moment | None
    until: Moment | None
    next: Moment | None
    incidents: list[IncidentJson]
