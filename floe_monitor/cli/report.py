"""The results of `check`: a table for people, JSON for programs."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.known_maintenance import in_maintenance
from floe_monitor.cli.terminal import STYLES, SYMBOLS, console, write
from floe_monitor.domain.plurals import counted
from floe_monitor.domain.remediation import remediation_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from floe_monitor.cli.profile_import import Lost
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.maintenance import Maintenance

FORMAT = 1
"""Of the JSON: raised when a key changes its meaning or goes, not when one is added."""


def print_json(
    results: Sequence[ProbeResult],
    ok: bool,
    unchecked: Sequence[Lost] | None,
    maintained: Mapping[str, Maintenance],
) -> None:
    """Described in docs/cli.md; each result as the HTTP API has it, with remediation and maintenance.

    A configuration has no `unchecked`.
    """
    from floe_monitor.domain import serialization  # noqa: PLC0415 - a tenth of what a check takes to start

    counts = _counts(results)
    rows = [
        {
            **serialization.probe(result),
            "remediation": remediation_for(result),
            "maintenance": serialization.maintenance(maintained.get(result.target)),
        }
        for result in results
    ]
    report: dict[str, Any] = {"format": FORMAT, "ok": ok, "counts": counts, "results": rows}
    if unchecked is not None:
        report["not_checked"] = [asdict(each) for each in unchecked]
    write(serialization.encode(report).decode())


def failing(*, strict: bool) -> set[str]:
    """The statuses that make the command fail."""
    return {"unhealthy", "degraded"} if strict else {"unhealthy"}


def print_table(
    results: Sequence[ProbeResult], unchecked: Sequence[Lost], maintained: Mapping[str, Maintenance]
) -> None:
    if results and sys.stdout.isatty():
        _print_rich(results)
    elif results:
        _print_plain(results)
    for name, maintenance in maintained.items():
        write(in_maintenance(name, maintenance))
    for each in unchecked:
        write(f"not checked: {each}")


def _print_plain(results: Sequence[ProbeResult]) -> None:
    """One unwrapped line for each target, whatever its messages hold; rich would cost 50 ms."""
    rows = [
        _HEADINGS,
        *(["".join(text for text, _ in cell) for cell in _cells(result)] for result in results),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        padded = [
            text.rjust(width) if heading == "LATENCY" else text.ljust(width)
            for text, width, heading in zip(row, widths, _HEADINGS, strict=True)
        ]
        lines.append("  ".join(padded).replace("\n", "  ").rstrip())
    write("\n".join([*lines, "", _summary(results)]))


def _print_rich(results: Sequence[ProbeResult]) -> None:
    from rich.table import Table  # noqa: PLC0415 - for terminals alone
    from rich.text import Text  # noqa: PLC0415 - as above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in _HEADINGS[:3]:
        table.add_column(heading, justify="right" if heading == "LATENCY" else "left", no_wrap=True)
    table.add_column(_HEADINGS[3], overflow="fold", min_width=10)
    table.add_column(_HEADINGS[4], overflow="fold", min_width=16)
    for result in results:
        table.add_row(*(Text.assemble(*cell) for cell in _cells(result)))
    out = console()
    out.print(table)
    out.print(f"\n{_summary(results)}")


_HEADINGS = ["TARGET", "STATUS", "LATENCY", "CHECKS", "MESSAGE"]


def _cells(result: ProbeResult) -> list[list[tuple[str, str]]]:
    """Of one row: each cell as pieces of text with their styles."""
    word = result.status.value
    checks = []
    for number, check in enumerate(result.checks):
        style = STYLES[check.status.value]
        checks.append((f"{'  ' if number else ''}{SYMBOLS[check.status.value]} {check.name}", style))
    said = result.message
    if result.error_type is not None:
        said = f"{result.message or 'failed'} ({result.error_type})"
    lines = [said] if said else []
    lines += [f"! {warning}" for warning in result.warnings]
    if remediation := remediation_for(result):
        lines.append(f"→ {remediation}")
    return [
        [(result.target, "")],
        [(f"{SYMBOLS[word]} {word}", STYLES[word])],
        [(latency(result.duration), "")],
        checks,
        [("\n".join(lines), "")],
    ]


def _summary(results: Sequence[ProbeResult]) -> str:
    said = ", ".join(f"{count} {word}" for word, count in _counts(results).items() if count)
    return f"{counted(len(results), 'target')}: {said}"


def one_line(result: ProbeResult) -> str:
    """`dev: unhealthy: connection refused (connection)`."""
    kind = f" ({result.error_type})" if result.error_type else ""
    said = f": {result.message}" if result.message else ""
    return f"{result.target}: {result.status.value}{said}{kind}"


def latency(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.1f} ms"


def _counts(results: Sequence[ProbeResult]) -> dict[str, int]:
    found = Counter(result.status.value for result in results)
    return {word: found[word] for word in ("healthy", "degraded", "unhealthy")}
