"""OpenTelemetry instruments of the table: recorded from events, or observed from the monitor's state."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Observation

from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.event_metrics import FED, EventMetrics
from floe_monitor.telemetry.instrument import Kind
from floe_monitor.telemetry.process_metrics import PROCESS_INSTRUMENTS, ProcessMetrics
from floe_monitor.telemetry.state_metrics import monitor_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter

    from floe_monitor.domain.events import ProbeFinished, ProbeResult
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.instrument import Instrument

    Read = Callable[[CallbackOptions], Iterable[Observation]]

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)
_DB_SYSTEM = "db.system.name"
_OF_VALIDATIONS = (of_targets.VALIDATION_DURATION.name, of_targets.VALIDATION_ERRORS.name)


class Recorder(EventMetrics):
    """Records events; the counterpart of `PrometheusSink`."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter
        self._counters = {each.name: self._counter(each) for each in FED if each.kind is Kind.COUNTER}
        self._histograms = {
            each.name: self._in_each_unit(each) for each in FED if each.kind is Kind.HISTOGRAM
        }
        self._db_system: dict[str, str] = {}
        """What the validation that is being recorded asked, as an attribute."""

    def observe(
        self, instrument: Instrument, seconds: float, *labels: str, result: ProbeResult | None = None
    ) -> None:
        attributes = self._attributes(instrument, labels)
        context = None if result is None else _context_of(result)
        for histogram, scale in self._histograms[instrument.name]:
            histogram.record(seconds * scale, attributes, context)

    def count(self, instrument: Instrument, number: int, *labels: str) -> None:
        self._counters[instrument.name].add(number, self._attributes(instrument, labels))

    def _finished(self, event: ProbeFinished) -> None:
        self._db_system = {_DB_SYSTEM: event.db_system} if event.db_system else {}
        super()._finished(event)
        self._db_system = {}

    def _attributes(self, instrument: Instrument, labels: tuple[str, ...]) -> dict[str, str]:
        attributes = dict(zip(instrument.attributes, labels, strict=True))
        return {**attributes, **self._db_system} if instrument.name in _OF_VALIDATIONS else attributes

    def _in_each_unit(self, instrument: Instrument) -> list[tuple[Histogram, float]]:
        """The histograms of one instrument, and what seconds are in their unit."""
        histograms = [(self._histogram(instrument, instrument.otlp, instrument.otlp_unit, 1), 1.0)]
        if instrument.otlp_ms is not None:
            histograms.append((self._histogram(instrument, instrument.otlp_ms, "ms", 1000), 1000.0))
        return histograms

    def _histogram(self, instrument: Instrument, name: str, unit: str, scale: int) -> Histogram:
        return self._meter.create_histogram(
            name,
            unit=unit,
            description=instrument.description,
            explicit_bucket_boundaries_advisory=[bound * scale for bound in instrument.buckets],
        )

    def _counter(self, instrument: Instrument) -> Counter:
        return self._meter.create_counter(
            instrument.otlp, unit=instrument.otlp_unit, description=instrument.description
        )


def _context_of(result: ProbeResult) -> Context | None:
    """The span of the validation, long ended, for the SDK to take an exemplar from."""
    if result.trace_id is None or result.span_id is None:
        return None
    span = trace.SpanContext(
        int(result.trace_id, 16), int(result.span_id, 16), is_remote=False, trace_flags=_SAMPLED
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(span), Context())


def observe_monitor(meter: Meter, state: MonitorState, version: str) -> None:
    """Register what is read of the monitor at each export."""
    for instrument, _ in monitor_rows(state, version, time.monotonic()):
        _observe(meter, instrument, _reader(state, version, instrument))
    process = ProcessMetrics()
    for instrument in PROCESS_INSTRUMENTS:
        _observe(meter, instrument, _process_reader(process, instrument))


def _reader(state: MonitorState, version: str, instrument: Instrument) -> Read:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        known = monitor_rows(state, version, time.monotonic())
        rows = next(rows for each, rows in known if each is instrument)
        return [
            Observation(value, dict(zip(instrument.attributes, values, strict=True)))
            for values, value in rows
        ]

    return read


def _process_reader(process: ProcessMetrics, instrument: Instrument) -> Read:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        return [Observation(value) for each, value in process.rows() if each is instrument]

    return read


def _observe(meter: Meter, instrument: Instrument, read: Read) -> None:
    create = (
        meter.create_observable_counter if instrument.kind is Kind.COUNTER else meter.create_observable_gauge
    )
    create(instrument.otlp, [read], unit=instrument.otlp_unit, description=instrument.description)
