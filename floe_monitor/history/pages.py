"""Parts of a history as the HTTP API answers with them: newest first, no more than was asked for.

Each part says where the next one begins. Rows of one millisecond are never divided between two parts, unless
one part is too small for them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from floe_monitor.domain import incident_serialization
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.span import Span
from floe_monitor.domain.timestamps import moment
from floe_monitor.history import tables
from floe_monitor.history.rollup import DAY, HOUR, start_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from floe_monitor.domain.history_json_types import (
        KeptChangesJson,
        KeptIncidentsJson,
        KeptPeriodJson,
        KeptPeriodsJson,
        KeptResultsJson,
    )
    from floe_monitor.domain.json_types import Outcome
    from floe_monitor.history.reader import HistoryReader
    from floe_monitor.history.rollup import Rollup

T = TypeVar("T")


def results_page(reader: HistoryReader, name: str, span: Span, limit: int) -> KeptResultsJson:
    rows, following = _part(reader.newest(tables.results, name, span, limit + 1), limit)
    return {
        "target": name,
        "since": _moment(span.start * 1000),
        "until": _moment(span.end * 1000),
        "next": following,
        "results": [
            {
                "at": _moment(row.at),
                "status": cast("Outcome", HealthStatus(row.status).word),
                "duration_seconds": row.duration / 1e6,
                "error_type": row.error_type,
                "maintenance": bool(row.maintenance),
            }
            for row in rows
        ],
    }


def changes_page(reader: HistoryReader, name: str, span: Span, limit: int) -> KeptChangesJson:
    rows, following = _part(reader.newest(tables.transitions, name, span, limit + 1), limit)
    return {
        "target": name,
        "since": _moment(span.start * 1000),
        "until": _moment(span.end * 1000),
        "next": following,
        "changes": [
            {
                "at": _moment(row.at),
                "before": HealthStatus(row.status_before).word,
                "after": HealthStatus(row.status_after).word,
                "before_lasted_seconds": row.lasted / 1000,
                "error_type": row.error_type,
                "message": row.message,
            }
            for row in rows
        ],
    }


def periods_page(
    reader: HistoryReader, name: str, unit: Literal["hours", "days"], span: Span, limit: int
) -> KeptPeriodsJson:
    length = HOUR if unit == "hours" else DAY
    # The period in which the span ends is in it, as far as it has come.
    newest = start_of(span.end - 0.001, length)
    oldest = max(start_of(span.start, length), newest - (limit - 1) * length)
    part = Span(oldest, span.end)
    [(_, found)] = (reader.hours if unit == "hours" else reader.days)([name], part)
    rows = sorted(found.items(), key=lambda row: -row[0])
    return {
        "target": name,
        "since": _moment(span.start * 1000),
        "until": _moment(span.end * 1000),
        "next": _moment(oldest * 1000) if oldest > span.start else None,
        "periods": [_period(start, rollup) for start, rollup in rows],
    }


def incidents_page(reader: HistoryReader, names: Sequence[str], span: Span, limit: int) -> KeptIncidentsJson:
    found = list(islice(reader.incidents(names, span), limit + 1))
    shown, following = _part(found, limit, lambda incident: round(incident.began_at * 1000))
    return {
        "since": _moment(span.start * 1000),
        "until": _moment(span.end * 1000),
        "next": following,
        "incidents": [incident_serialization.incident(each) for each in shown],
    }


def _period(start: int, rollup: Rollup) -> KeptPeriodJson:
    healthy, degraded, unhealthy, maintenance = rollup.seconds
    return {
        "start": _moment(start * 1000),
        "results": rollup.total,
        "uptime": None if rollup.uptime is None else round(rollup.uptime, 6),
        "healthy_seconds": round(healthy, 3),
        "degraded_seconds": round(degraded, 3),
        "unhealthy_seconds": round(unhealthy, 3),
        "maintenance_seconds": round(maintenance, 3),
        "latency_p50_seconds": _rounded(rollup.latency.quantile(0.5)),
        "latency_p95_seconds": _rounded(rollup.latency.quantile(0.95)),
    }


def _stored_at(row: Any) -> int:
    return int(row.at)


def _part(rows: list[T], limit: int, at: Callable[[T], int] = _stored_at) -> tuple[list[T], str | None]:
    """The first `limit` rows of what may be one more, and before which moment the next part is. `at` in
    milliseconds."""
    if len(rows) <= limit:
        return rows, None
    shown = [row for row in rows if at(row) > at(rows[limit])] or rows[:limit]
    return shown, _moment(at(shown[-1]))


def _moment(milliseconds: float) -> str:
    """Exactly that millisecond, as a part's end is compared with it."""
    return moment((round(milliseconds) + 0.5) / 1000) or ""


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
