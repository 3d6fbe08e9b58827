"""Events as histograms and counters of the Prometheus client, in a registry of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.event_metrics import FED, EventMetrics
from floe_monitor.telemetry.instrument import Kind

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.telemetry.instrument import Instrument

EXEMPLAR_VALUE_LIMIT = 100
"""OpenMetrics allows 128 characters for the names and values of an exemplar together."""


def _exemplar(result: ProbeResult) -> dict[str, str] | None:
    if result.trace_id:
        return {"trace_id": result.trace_id[:EXEMPLAR_VALUE_LIMIT]}
    if result.correlation_id:
        return {"correlation_id": result.correlation_id[:EXEMPLAR_VALUE_LIMIT]}
    return None


class PrometheusSink(EventMetrics):
    """Counts events. `MetricsPage` renders its registry together with the state."""

    name = "prometheus"

    def __init__(self) -> None:
        super().__init__()
        self.registry = CollectorRegistry()
        self._families = {instrument.name: self._family(instrument) for instrument in FED}
        self._series: dict[tuple[str, ...], Any] = {}
        ProcessCollector(registry=self.registry)

    def observe(
        self, instrument: Instrument, seconds: float, *labels: str, result: ProbeResult | None = None
    ) -> None:
        self._one(instrument, labels).observe(seconds, None if result is None else _exemplar(result))

    def count(self, instrument: Instrument, number: int, *labels: str) -> None:
        self._one(instrument, labels).inc(number)

    def _begin(self, plugin: str) -> None:
        super()._begin(plugin)
        for status in ConnectionStatus:
            self._one(of_targets.VALIDATION_DURATION, (plugin, status.value))

    def _one(self, instrument: Instrument, labels: tuple[str, ...]) -> Any:
        """The series with these labels; the client library takes longer to find it."""
        key = (instrument.name, *labels)
        found = self._series.get(key)
        if found is None:
            family = self._families[instrument.name]
            found = self._series[key] = family.labels(*labels) if labels else family
        return found

    def _family(self, instrument: Instrument) -> Histogram | Counter:
        names = instrument.name, instrument.description, instrument.labels
        if instrument.kind is Kind.COUNTER:
            return Counter(*names, registry=self.registry)
        return Histogram(*names, unit=instrument.unit, buckets=instrument.buckets, registry=self.registry)
