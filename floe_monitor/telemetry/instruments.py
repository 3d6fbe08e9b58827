"""The one table of everything measured: the names of each instrument, and what it means.

OTLP carries dotted names and units, Prometheus its own suffixes. Both back ends are built from this table,
and `docs/metrics.md` holds what `reference()` prints.
"""

from __future__ import annotations

from floe_monitor.telemetry.instrument import Instrument
from floe_monitor.telemetry.monitor_instruments import MONITOR_INSTRUMENTS
from floe_monitor.telemetry.process_metrics import PROCESS_INSTRUMENTS
from floe_monitor.telemetry.target_instruments import TARGET_INSTRUMENTS

INSTRUMENTS: tuple[Instrument, ...] = (*TARGET_INSTRUMENTS, *MONITOR_INSTRUMENTS, *PROCESS_INSTRUMENTS)


def reference() -> str:
    """The table of `docs/metrics.md`."""
    lines = ["| Prometheus | OTLP (unit) | type | labels | meaning |", "|---|---|---|---|---|"]
    for each in INSTRUMENTS:
        otlp = f"`{each.otlp}` ({each.otlp_unit})"
        if each.otlp_ms:
            otlp += f", `{each.otlp_ms}` (ms)"
        labels = ", ".join(f"`{label}`" for label in each.labels)
        lines.append(f"| `{each.name}` | {otlp} | {each.kind} | {labels} | {each.description} |")
    return "\n".join(lines) + "\n"
