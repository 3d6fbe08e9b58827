"""Rows as a Parquet file: a column has its type whatever stands in it, so that several files go together."""

from __future__ import annotations

import datetime as dt
from importlib import import_module
from typing import TYPE_CHECKING, Any

from floe_monitor.cli.terminal import CliError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MOMENTS = frozenset({"at", "start", "began_at", "ended_at"})
_COUNTS = frozenset({"healthy", "degraded", "unhealthy", "maintenance", "targets_total"})


def write_parquet(rows: Sequence[dict[str, Any]], columns: Sequence[str], output: Path) -> None:
    """Moments as timestamps in UTC, seconds and shares as doubles, counts as integers, the rest as text."""
    try:
        arrow = import_module("pyarrow")
        parquet = import_module("pyarrow.parquet")
    except ImportError:
        raise CliError(
            "Parquet needs pyarrow, which is not installed: install floe-monitor with its extra `parquet`,"
            " or use --format csv"
        ) from None
    fields = []
    for name in columns:
        if name in _MOMENTS:
            kind = arrow.timestamp("ms", tz="UTC")
        elif name in _COUNTS:
            kind = arrow.int64()
        else:
            kind = arrow.float64() if name == "uptime" or name.endswith("_seconds") else arrow.string()
        fields.append((name, kind))
    columnar = {name: [_value(name, row.get(name)) for row in rows] for name in columns}
    try:
        parquet.write_table(arrow.table(columnar, schema=arrow.schema(fields)), output)
    except OSError as error:
        raise CliError(f"{output}: {error}") from None


def _value(name: str, value: Any) -> Any:
    return dt.datetime.fromisoformat(value) if name in _MOMENTS and value is not None else value
