"""Rows as a table, JSON, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.report_document import lasting, milliseconds, percentage
from floe_monitor.cli.terminal import STYLES, CliError, console, note, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, Any]


class TabularFormat(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


def write_rows(
    rows: Sequence[Row], columns: Sequence[str], form: TabularFormat, output: Path | None = None
) -> None:
    """To stdout, or to a file. A table leaves out columns in which nothing stands; the others have all."""
    if form is TabularFormat.PARQUET:
        if output is None:
            raise CliError("Parquet is binary: name a file with --output")
        from floe_monitor.cli.parquet import write_parquet  # noqa: PLC0415 - for this form alone

        write_parquet(rows, columns, output)
        return
    if form is TabularFormat.TABLE and output is None:
        _print_table(rows, columns)
        return
    if form is TabularFormat.JSON:
        text = json.dumps([{name: row.get(name) for name in columns} for row in rows], indent=2, default=str)
    else:
        text = as_csv(rows, columns)
    write_text(text, output)


def write_text(text: str, output: Path | None) -> None:
    if output is None:
        write(text)
        return
    try:
        output.write_text(text if text.endswith("\n") else f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise CliError(f"{output}: {error.strerror}") from None


def as_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """RFC 4180, with a first row of names."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(columns)
    writer.writerows([["" if row.get(name) is None else row[name] for name in columns] for row in rows])
    return lines.getvalue()


def _print_table(rows: Sequence[Row], columns: Sequence[str]) -> None:
    if not rows:
        note("there is nothing to show")
        return
    from rich.table import Table  # noqa: PLC0415 - JSON output does without
    from rich.text import Text  # noqa: PLC0415 - as above

    shown = [name for name in columns if any(row.get(name) not in (None, "") for row in rows)]
    table = Table(box=None, pad_edge=False)
    for name in shown:
        numbers = all(isinstance(row.get(name), int | float | None) for row in rows)
        heading = name.removesuffix("_seconds").replace("_", " ").upper()
        table.add_column(heading, justify="right" if numbers else "left")
    for row in rows:
        cells = ["" if row.get(name) is None else _format(name, row[name]) for name in shown]
        table.add_row(*[Text(cell, style=STYLES.get(cell, "")) for cell in cells])
    console().print(table)


def _format(name: str, value: Any) -> str:
    """For people: with the unit of its own that a program would have to take apart."""
    if name.endswith("_seconds"):
        return lasting(value) if value >= 60 else milliseconds(value)
    if name == "uptime":
        return percentage(value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
