"""OpenTelemetry instruments of the table: recorded from events, or observed from the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Observation

from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.event_metrics import FED, EventMetrics
from floe_monitor.telemetry.instrument import Kind
from floe_monitor.telemetry.state_metrics import state_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.instrument import Instrument

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class Recorder(EventMetrics):
    """Records events; the counterpart of `PrometheusSink`."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter
        self._counters = {each.name: self._counter(each) for each in FED if each.kind is Kind.COUNTER}
        self._histograms = {each.name: self._histogram(each) for each in FED if each.kind is Kind.HISTOGRAM}

    def observe(
        self, instrument: Instrument, seconds: float, *labels: str, result: ProbeResult | None = None
    ) -> None:
        attributes = dict(zip(instrument.labels, labels, strict=True))
        context = None if result is None else _context_of(result)
        self._histograms[instrument.name].record(seconds * 1000, attributes, context)

    def count(self, instrument: Instrument, number: int, *labels: str) -> None:
        self._counters[instrument.name].add(number, dict(zip(instrument.labels, labels, strict=True)))

    def _histogram(self, instrument: Instrument) -> Histogram:
        assert instrument.otlp is not None  # noqa: S101 - every event-fed instrument has an OTLP name
        return self._meter.create_histogram(
            instrument.otlp,
            unit=instrument.otlp_unit,
            description=instrument.description,
            explicit_bucket_boundaries_advisory=instrument.otlp_buckets,
        )

    def _counter(self, instrument: Instrument) -> Counter:
        assert instrument.otlp is not None  # noqa: S101 - every event-fed instrument has an OTLP name
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


def observe_state(meter: Meter, state: MonitorState) -> None:
    """Register what is read at each export; a removed target is not in the next one."""

    def status(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(
                int(snapshot.status),
                {"target": snapshot.target.name, "plugin": snapshot.target.plugin_name},
            )
            for snapshot in state.view()
        ]

    def up(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(
                int(snapshot.status.is_up),
                {"target": snapshot.target.name, "plugin": snapshot.target.plugin_name},
            )
            for snapshot in state.view()
        ]

    def maintenance(_: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(
                int(snapshot.maintenance is not None),
                {"target": snapshot.target.name, "plugin": snapshot.target.plugin_name},
            )
            for snapshot in state.view()
            if snapshot.maintenance is not None or snapshot.target.windows
        ]

    _observe(meter, of_targets.TARGET_MAINTENANCE, maintenance)
    _observe(meter, of_targets.TARGET_STATUS, status)
    _observe(meter, of_targets.TARGET_UP, up)
    for instrument, _rows in state_rows(state):
        _observe(meter, instrument, _reader(state, instrument))


def _reader(
    state: MonitorState, instrument: Instrument
) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_: CallbackOptions) -> Iterable[Observation]:
        rows = next(rows for each, rows in state_rows(state) if each is instrument)
        return [
            Observation(value, dict(zip(instrument.labels, values, strict=True))) for values, value in rows
        ]

    return read


def _observe(
    meter: Meter, instrument: Instrument, read: Callable[[CallbackOptions], Iterable[Observation]]
) -> None:
    assert instrument.otlp is not None  # noqa: S101 - only instruments with an OTLP name are observed
    create = (
        meter.create_observable_counter if instrument.kind is Kind.COUNTER else meter.create_observable_gauge
    )
    create(instrument.otlp, [read], unit=instrument.otlp_unit, description=instrument.description)
