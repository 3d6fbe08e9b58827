"""The results of `check`: a table for people, JSON for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.terminal import STYLES, SYMBOLS, console, write
from floe_monitor.http import present

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from floe_monitor.events import ProbeResult

FORMAT = 1
"""Of the JSON: raised when a key changes its meaning or goes, not when one is added."""


def print_json(results: Sequence[ProbeResult], ok: bool) -> None:
    """Described in docs/cli.md; each result as the HTTP API has it."""
    counts = _counts(results)
    report = {"format": FORMAT, "ok": ok, "counts": counts, "results": [present.probe(r) for r in results]}
    write(present.encode(report).decode())


def print_table(results: Sequence[ProbeResult]) -> None:
    from rich.table import Table  # noqa: PLC0415 - JSON does without

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("TARGET", no_wrap=True)
    table.add_column("STATUS", no_wrap=True)
    table.add_column("LATENCY", justify="right", no_wrap=True)
    table.add_column("CHECKS", overflow="fold", min_width=10)
    table.add_column("MESSAGE", overflow="fold", min_width=16)
    for result in results:
        table.add_row(
            _text(result.target),
            _status(result.status.value),
            _text(latency(result.duration)),
            _checks(result),
            _message(result),
        )
    out = console()
    out.print(table)
    counts = _counts(results)
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    total = "1 target" if len(results) == 1 else f"{len(results)} targets"
    out.print(f"\n{total}: {said}")


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


def _status(word: str) -> Text:
    return _text(f"{SYMBOLS[word]} {word}", STYLES[word])


def _checks(result: ProbeResult) -> Text:
    from rich.text import Text  # noqa: PLC0415 - JSON does without

    parts: list[Any] = []
    for check in result.checks:
        word = check.status.value
        parts += [("  " if parts else ""), (f"{SYMBOLS[word]} {check.name}", STYLES[word])]
    return Text.assemble(*parts)


def _message(result: ProbeResult) -> Text:
    lines = [result.message] if result.message else []
    if result.error_type is not None:
        lines = [f"{result.message or 'failed'} ({result.error_type})"]
    return _text("\n".join([*lines, *(f"! {warning}" for warning in result.warnings)]))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text  # noqa: PLC0415 - JSON does without

    return Text(text, style=style)
