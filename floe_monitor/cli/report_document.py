"""A report as Markdown, and as a page of HTML that needs nothing besides."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.history.report import Period, Report, TargetReport

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; vertical-align: top; }
tr { border-bottom: 1px solid #8884; }
""".strip()

Cells = list[list[str]]
_TARGETS = ["Target", "Uptime", "Objective", "Error budget left", "Incidents", "p50", "p95", "Results"]
_INCIDENTS = ["Began", "Lasted", "Targets", "Cause", "Reason"]
_SLOWEST = ["Target", "From", "p95"]


def sections(report: Report) -> list[tuple[str, list[str], Cells]]:
    """Title, names of columns, and rows of each; those without rows are left out."""
    found = [
        ("Targets", _TARGETS, [_target(each) for each in report.targets]),
        ("Incidents", _INCIDENTS, [_incident(each, report.span.end) for each in report.incidents]),
        ("Slowest periods", _SLOWEST, _slowest(report.targets)),
    ]
    return [each for each in found if each[2]]


def title(report: Report) -> str:
    return f"Availability from {minute(report.span.start)} to {minute(report.span.end)} UTC"


def as_markdown(report: Report) -> str:
    lines = [f"# {title(report)}", ""]
    for name, columns, rows in sections(report):
        lines += [f"## {name}", "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def as_html(report: Report) -> str:
    parts: list[str] = [
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{escape(title(report))}</title>',
        '<meta name="viewport" content="width=device-width">',
        f"<style>{_STYLE}</style>\n<h1>{escape(title(report))}</h1>",
    ]
    for name, columns, rows in sections(report):
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
        parts.append(f"<h2>{escape(name)}</h2>\n<table>\n<thead><tr>{head}</tr></thead>\n<tbody>")
        parts += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
        parts.append("</tbody>\n</table>")
    return "\n".join(parts) + "\n</html>\n"


def minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def lasting(seconds: float) -> str:
    """As `3 d 4 h`, `12 min` or `40 s`: the two largest parts."""
    parts: list[str] = []
    left = int(seconds)
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= length or (unit == "s" and not parts):
            parts.append(f"{left // length} {unit}")
            left %= length
    return " ".join(parts[:2])


def percentage(share: float | None) -> str:
    """As `99.95 %`; what is not all is never shown as all."""
    if share is None:
        return "–"
    if 0.99999 < share < 1:
        return "> 99.999 %"
    return f"{share * 100:.3f}".rstrip("0").rstrip(".") + " %"


def milliseconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def _target(known: TargetReport) -> list[str]:
    return [
        known.target,
        percentage(known.uptime),
        percentage(known.objective),
        percentage(known.budget_left),
        str(known.incidents),
        milliseconds(known.p50),
        milliseconds(known.p95),
        str(known.results),
    ]


def _incident(known: Incident, now: float) -> list[str]:
    names = list(known.members)
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    first = known.reasons[0] if known.reasons else None
    cause = known.cause
    going_on = "" if known.ended_at is not None else ", going on"
    return [
        minute(known.began_at),
        lasting((known.ended_at or now) - known.began_at) + going_on,
        ", ".join(names[:5]) + more,
        "" if cause is None else f"{cause.kind} {cause.name}",
        ""
        if first is None
        else f"{first.error_type.value}: {first.message}"
        if first.error_type
        else first.message,
    ]


def _slowest(targets: Sequence[TargetReport]) -> Cells:
    found: list[tuple[Period, str]] = [(period, each.target) for each in targets for period in each.slowest]
    found.sort(key=lambda item: -item[0].p95)
    return [[name, minute(period.start), milliseconds(period.p95)] for period, name in found[:10]]


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
