"""Events as histograms and counters of the Prometheus client, in a registry of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.domain.events import (
    LateReturn,
    ProbeFinished,
    ProbeStarted,
    ProfileGenerated,
    ProfileReconciled,
    SkipReason,
    TickSkipped,
)
from floe_monitor.telemetry import instruments as table
from floe_monitor.telemetry.state_metrics import error_type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Event, ProbeResult
    from floe_monitor.telemetry.instruments import Instrument

EXEMPLAR_VALUE_LIMIT = 100
"""OpenMetrics allows 128 characters for the names and values of an exemplar together."""


def _exemplar(result: ProbeResult) -> dict[str, str] | None:
    if result.trace_id:
        return {"trace_id": result.trace_id[:EXEMPLAR_VALUE_LIMIT]}
    if result.correlation_id:
        return {"correlation_id": result.correlation_id[:EXEMPLAR_VALUE_LIMIT]}
    return None


class PrometheusSink:
    """Counts events. `MetricsPage` renders its registry together with the state."""

    name = "prometheus"

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._durations = self._histogram(table.VALIDATION_DURATION)
        self._errors = self._counter(table.VALIDATION_ERRORS)
        self._generation = self._histogram(table.PROFILE_GENERATION)
        self._late = self._counter(table.LATE_RETURNS)
        self._skipped = self._counter(table.PROBES_SKIPPED)
        self._lag = self._histogram(table.SCHEDULE_LAG)
        self._wait = self._histogram(table.SLOT_WAIT)
        self._writes = self._counter(table.PROFILE_WRITES)
        ProcessCollector(registry=self.registry)
        self._by_status: dict[tuple[str, ConnectionStatus], Histogram] = {}
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
        return Histogram(
            instrument.name,
            instrument.description,
            instrument.labels,
            unit=instrument.unit,
            buckets=instrument.buckets,
            registry=self.registry,
        )

    def _counter(self, instrument: Instrument) -> Counter:
        return Counter(instrument.name, instrument.description, instrument.labels, registry=self.registry)

    def _finished(self, event: ProbeFinished) -> None:
        result = event.result
        child = self._by_status.get((result.plugin, result.status))
        if child is None:
            child = self._meet(result)
        child.observe(result.duration, _exemplar(result))
        reason = error_type_of(result)
        if reason is not None:
            self._errors.labels(result.plugin, reason.value).inc()

    def _meet(self, result: ProbeResult) -> Histogram:
        """Begin a plugin's series at zero: `increase()` does not see what a new counter begins with."""
        for status in ConnectionStatus:
            self._by_status[result.plugin, status] = self._durations.labels(result.plugin, status.value)
        for error_type in ErrorType:
            self._errors.labels(result.plugin, error_type.value)
        for reason in get_args(SkipReason):
            self._skipped.labels(result.plugin, reason)
        self._late.labels(result.plugin)
        return self._by_status[result.plugin, result.status]

    def _started(self, event: ProbeStarted) -> None:
        if event.lag is not None:
            self._lag.observe(event.lag)
        self._wait.observe(event.slot_wait)

    def _skip(self, event: TickSkipped) -> None:
        self._skipped.labels(event.plugin, event.reason).inc(event.count)

    def _late_return(self, event: LateReturn) -> None:
        self._late.labels(event.plugin).inc()

    def _generated(self, event: ProfileGenerated) -> None:
        self._generation.labels(event.plugin).observe(event.duration)

    def _reconciled(self, event: ProfileReconciled) -> None:
        if event.result != "unchanged":
            self._writes.labels(event.profile, event.result).inc()
