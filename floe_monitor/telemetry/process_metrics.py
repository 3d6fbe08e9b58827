"""The monitor's process as the client library measures it for Prometheus, and the part that OTLP carries too.

OpenTelemetry has conventions of its own for processes; these names are those of which Prometheus makes what
alert rules and dashboards ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, ProcessCollector

from floe_monitor.telemetry.instrument import Instrument, Kind, Origin

if TYPE_CHECKING:
    from collections.abc import Iterator

PROCESS_CPU = Instrument(
    name="process_cpu_seconds_total",
    otlp="process.cpu.seconds",
    otlp_unit="s",
    kind=Kind.COUNTER,
    origin=Origin.PROCESS,
    description="CPU time that the monitor has used",
)
PROCESS_MEMORY = Instrument(
    name="process_resident_memory_bytes",
    otlp="process.resident_memory.bytes",
    otlp_unit="By",
    kind=Kind.GAUGE,
    origin=Origin.PROCESS,
    description="Resident memory of the monitor",
)
PROCESS_START = Instrument(
    name="process_start_time_seconds",
    otlp="process.start_time.seconds",
    otlp_unit="s",
    kind=Kind.GAUGE,
    origin=Origin.PROCESS,
    description="When the monitor started, in Unix time",
)
PROCESS_INSTRUMENTS = (PROCESS_CPU, PROCESS_MEMORY, PROCESS_START)


class ProcessMetrics:
    """What can be read of the process now; nothing where the system has no /proc."""

    def __init__(self) -> None:
        self._collector = ProcessCollector(registry=CollectorRegistry())

    def rows(self) -> Iterator[tuple[Instrument, float]]:
        values = {
            sample.name: sample.value for family in self._collector.collect() for sample in family.samples
        }
        for each in PROCESS_INSTRUMENTS:
            if each.name in values:
                yield each, values[each.name]
