"""OpenTelemetry instruments of the table: recorded from events, or observed from the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.metrics import Observation

from floe_monitor.domain.events import (
    LateReturn,
    ProbeFinished,
    ProbeStarted,
    ProfileGenerated,
    ProfileReconciled,
    TickSkipped,
)
from floe_monitor.telemetry import instruments as table
from floe_monitor.telemetry.instruments import Kind
from floe_monitor.telemetry.state_metrics import error_type_of, state_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter

    from floe_monitor.domain.events import Event, ProbeResult
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.instruments import Instrument

_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)


class Recorder:
    """Records events; the counterpart of `PrometheusSink`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._durations = self._histogram(table.VALIDATION_DURATION)
        self._errors = self._counter(table.VALIDATION_ERRORS)
        self._generation = self._histogram(table.PROFILE_GENERATION)
        self._late = self._counter(table.LATE_RETURNS)
        self._skipped = self._counter(table.PROBES_SKIPPED)
        self._lag = self._histogram(table.SCHEDULE_LAG)
        self._wait = self._histogram(table.SLOT_WAIT)
        self._writes = self._counter(table.PROFILE_WRITES)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ProbeFinished: self._finished,
            ProbeStarted: self._started,
            TickSkipped: self._skip,
            LateReturn: self._late_return,
            ProfileGenerated: self._generated,
            ProfileReconciled: self._reconciled,
        }

    def handle(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

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

    def _finished(self, event: ProbeFinished) -> None:
        result = event.result
        plugin, status = result.plugin, result.status.value
        self._durations.record(
            result.duration * 1000, {"plugin": plugin, "status": status}, _context_of(result)
        )
        reason = error_type_of(result)
        if reason is not None:
            self._errors.add(1, {"plugin": plugin, "error_type": reason.value})

    def _started(self, event: ProbeStarted) -> None:
        if event.lag is not None:
            self._lag.record(event.lag * 1000)
        self._wait.record(event.slot_wait * 1000)

    def _skip(self, event: TickSkipped) -> None:
        self._skipped.add(event.count, {"plugin": event.plugin, "reason": event.reason})

    def _late_return(self, event: LateReturn) -> None:
        self._late.add(1, {"plugin": event.plugin})

    def _generated(self, event: ProfileGenerated) -> None:
        self._generation.record(event.duration * 1000, {"plugin": event.plugin})

    def _reconciled(self, event: ProfileReconciled) -> None:
        if event.result != "unchanged":
            self._writes.add(1, {"profile": event.profile, "result": event.result})


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

    _observe(meter, table.TARGET_STATUS, status)
    _observe(meter, table.TARGET_UP, up)
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
