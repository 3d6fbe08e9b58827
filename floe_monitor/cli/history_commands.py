"""`history`, `incidents`, `report`: what the daemon has kept, read beside it or without it."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from floe_monitor.cli.options import ConfigOption, TargetArguments, parse_duration
from floe_monitor.cli.tabular import TabularFormat, write_rows, write_text
from floe_monitor.cli.terminal import OK, CliError, unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.domain.span import Span
    from floe_monitor.history.reader import HistoryReader
    from floe_monitor.settings import Settings

SinceOption = Annotated[
    float,
    typer.Option("--since", parser=parse_duration, metavar="DURATION", help="How far back: 3h, 30d."),
]
TabularOption = Annotated[TabularFormat, typer.Option("--format", "-f", help="Output format.")]
OutputOption = Annotated[Optional[Path], typer.Option("--output", "-o", help="Write to this file.")]


class Detail(StrEnum):
    CHANGE = "change"
    RESULT = "result"
    HOUR = "hour"
    DAY = "day"


class ReportForm(StrEnum):
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"
    CSV = "csv"


def history(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    since: SinceOption = 86_400.0,
    by: Annotated[
        Detail, typer.Option("--by", help="A row for each change of status, result, hour or day.")
    ] = Detail.CHANGE,
    form: TabularOption = TabularFormat.TABLE,
    output: OutputOption = None,
) -> int:
    """Show what was kept of targets: changes of status, single results, hours or days."""
    with _opened(config, targets, since) as (reader, names, span, _):
        if by is Detail.CHANGE:
            rows, columns = _changes(reader, names, span)
        elif by is Detail.RESULT:
            rows, columns = _results(reader, names, span)
        else:
            rows, columns = _rollups(reader, names, span, by)
    write_rows(rows, columns, form, output)
    return OK


def incidents(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    since: SinceOption = 30 * 86_400.0,
    form: TabularOption = TabularFormat.TABLE,
    output: OutputOption = None,
) -> int:
    """Show incidents, newest first: when, for how long, which targets, why."""
    from floe_monitor.domain import incident_serialization

    with _opened(config, targets, since) as (reader, names, span, _):
        known = list(reader.incidents(names, span))
    rows = []
    for incident in known:
        row = incident_serialization.incident(incident)
        cause = row["cause"]
        rows.append(
            {
                **row,
                "cause": None if cause is None else f"{cause['kind']} {cause['name']}",
                "targets": ", ".join(row["targets"]),
                "error_type": None if row["error_type"] is None else row["error_type"].value,
            }
        )
    columns = (
        "began_at", "ended_at", "duration_seconds", "state", "worst_status", "targets", "targets_total",
        "cause", "error_type", "message", "end", "merged_into", "id",
    )  # fmt: skip
    write_rows(rows, columns, form, output)
    return OK


def report(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    since: SinceOption = 30 * 86_400.0,
    form: Annotated[ReportForm, typer.Option("--format", "-f", help="Output format.")] = ReportForm.MARKDOWN,
    output: OutputOption = None,
) -> int:
    """Report uptime, error budget, latency, incidents and the slowest hours."""
    import json

    from floe_monitor.cli.report_document import as_html, as_markdown
    from floe_monitor.cli.report_rows import COLUMNS, as_json, as_rows
    from floe_monitor.cli.tabular import as_csv
    from floe_monitor.history.report import build_report

    with _opened(config, targets, since) as (reader, names, span, settings):
        kept = span.end - settings.history.retention.hourly_days * 86_400
        built = build_report(reader, names, span, lambda name: _objective(settings, name), kept)
    match form:
        case ReportForm.MARKDOWN:
            text = as_markdown(built)
        case ReportForm.HTML:
            text = as_html(built)
        case ReportForm.JSON:
            text = json.dumps(as_json(built), indent=2)
        case ReportForm.CSV:
            text = as_csv(as_rows(built), COLUMNS)
    write_text(text, output)
    return OK


@contextmanager
def _opened(
    config: Path | None, targets: list[str] | None, since: float
) -> Iterator[tuple[HistoryReader, list[str], Span, Settings]]:
    """The history, the targets chosen, the time, and the settings. Says what to do where there is none."""
    from floe_monitor.cli.configuration import load_settings
    from floe_monitor.domain.span import Span

    settings = load_settings(config).settings
    if settings.history.url is None:
        raise CliError(
            "no history is kept: `history` has no url",
            "Write `history: {url: sqlite:///var/history.db}` and start the daemon (docs/history.md).",
        )
    try:
        from floe_monitor.history.errors import HistoryUnavailableError
        from floe_monitor.history.reader import open_history
    except ImportError as error:
        problem = f"{error.name} is not installed: install floe-monitor with its extra `history`"
        raise CliError(problem) from None
    now = time.time()
    try:
        with open_history(settings.history.url, os.environ) as reader:
            for name in targets or ():
                if name not in reader.targets:
                    raise unknown("nothing was kept of a target", name, reader.targets)
            yield reader, list(dict.fromkeys(targets or ())), Span(now - since, now), settings
    except HistoryUnavailableError as error:
        raise CliError(f"the history cannot be read: {error}") from None


def _objective(settings: Settings, name: str) -> float:
    """As a share; that of all where the target is not configured any more."""
    target = settings.targets.get(name)
    own = None if target is None else target.slo.objective
    return (settings.slo.objective if own is None else own) / 100


def _changes(reader: HistoryReader, names: list[str], span: Span) -> tuple[list[dict[str, Any]], list[str]]:
    from floe_monitor.domain.timestamps import moment

    rows = [
        {
            "at": moment(each.at),
            "target": each.target,
            "before": each.before.word,
            "after": each.after.word,
            "before_lasted_seconds": each.lasted,
            "error_type": each.error_type,
            "message": each.message,
        }
        for each in reader.changes(names, span)
    ]
    return rows, ["at", "target", "before", "after", "before_lasted_seconds", "error_type", "message"]


def _results(reader: HistoryReader, names: list[str], span: Span) -> tuple[list[dict[str, Any]], list[str]]:
    from floe_monitor.domain.timestamps import moment

    rows = [
        {
            "at": moment(each.at),
            "target": each.target,
            "status": each.status.word,
            "duration_seconds": each.duration,
            "error_type": each.error_type,
        }
        for each in reader.results(names, span)
    ]
    return rows, ["at", "target", "status", "duration_seconds", "error_type"]


def _rollups(
    reader: HistoryReader, names: list[str], span: Span, by: Detail
) -> tuple[list[dict[str, Any]], list[str]]:
    from floe_monitor.domain.timestamps import moment

    found = reader.hours(names, span) if by is Detail.HOUR else reader.days(names, span)
    periods = [(start, name, rollup) for name, of_target in found for start, rollup in of_target.items()]
    rows = []
    for start, name, rollup in sorted(periods, key=lambda period: period[:2]):
        healthy, degraded, unhealthy, maintenance = rollup.counts
        rows.append(
            {
                "start": moment(start),
                "target": name,
                "uptime": None if rollup.uptime is None else round(rollup.uptime, 6),
                "healthy": healthy,
                "degraded": degraded,
                "unhealthy": unhealthy,
                "maintenance": maintenance,
                "p50_seconds": _rounded(rollup.latency.quantile(0.5)),
                "p95_seconds": _rounded(rollup.latency.quantile(0.95)),
            }
        )
    return rows, [
        "start",
        "target",
        "uptime",
        "healthy",
        "degraded",
        "unhealthy",
        "maintenance",
        "p50_seconds",
        "p95_seconds",
    ]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
