"""A report as JSON, and its targets as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.domain import incident_serialization
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from floe_monitor.history.report import Report

COLUMNS = (
    "target", "uptime", "objective", "error_budget_left", "incidents", "p50_seconds", "p95_seconds",
    "results",
)  # fmt: skip


def as_rows(report: Report) -> list[dict[str, Any]]:
    return [
        {
            "target": each.target,
            "uptime": _rounded(each.uptime),
            "objective": each.objective,
            "error_budget_left": _rounded(each.budget_left),
            "incidents": each.incidents,
            "p50_seconds": _rounded(each.p50),
            "p95_seconds": _rounded(each.p95),
            "results": each.results,
        }
        for each in report.targets
    ]


def as_json(report: Report) -> dict[str, Any]:
    rows = as_rows(report)
    for row, each in zip(rows, report.targets, strict=True):
        row["slowest"] = [
            {
                "start": moment(period.start),
                "length_seconds": period.length,
                "p95_seconds": _rounded(period.p95),
            }
            for period in each.slowest
        ]
    return {
        "start": moment(report.span.start),
        "end": moment(report.span.end),
        "targets": rows,
        "incidents": [incident_serialization.incident(each) for each in report.incidents],
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 6)
