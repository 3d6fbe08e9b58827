"""The one table of everything measured: the names of each instrument, and what it means.

OTLP carries milliseconds and dotted names, Prometheus base units and its own suffixes. Both back ends are
built from this table, and `docs/metrics.md` holds what `reference()` prints.
"""

from __future__ import annotations

from floe_monitor.telemetry.instrument import Instrument
from floe_monitor.telemetry.monitor_instruments import MONITOR_INSTRUMENTS
from floe_monitor.telemetry.target_instruments import TARGET_INSTRUMENTS

INSTRUMENTS: tuple[Instrument, ...] = (*TARGET_INSTRUMENTS, *MONITOR_INSTRUMENTS)


def reference() -> str:
    """The table of `docs/metrics.md`."""
    lines = ["| Prometheus | OTLP (unit) | type | labels | meaning |", "|---|---|---|---|---|"]
    for each in INSTRUMENTS:
        otlp = f"`{each.otlp}` ({each.otlp_unit})" if each.otlp else ""
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {otlp} | {each.kind} | {labels} | {each.description} |")
    return "\n".join(lines) + "\n"
