"""Exports the state of the targets beside what the SDK has counted.

The SDK would keep a record of each series: ten thousand targets have two hundred thousand. Here points are
made when they are sent, some hundreds at a time.
"""

from __future__ import annotations

import threading
import time
from itertools import islice
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import ObservableCounter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from floe_monitor.domain.interpreter_turns import TURNS
from floe_monitor.telemetry.instrument import Kind
from floe_monitor.telemetry.target_rows import METRICS_PER_TARGET, target_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.telemetry.fanout import Drops
    from floe_monitor.telemetry.instrument import Instrument
    from floe_monitor.telemetry.target_rows import Row

FAILED = "otlp_metrics"
"""The name under which exports that failed are counted."""
PAUSE = 0.02
"""The longest pause between two requests of an export, in seconds: without one, the thread that encodes
competes for the interpreter for seconds on end, and beside a scrape ticks start 100 ms late."""
PATIENCE = 0.2
"""Seconds that a request waits at most for other threads that compute: a scrape takes a tenth."""


class CountingExporter(MetricExporter):
    """An exporter whose failed exports are counted."""

    def __init__(self, exporter: MetricExporter, drops: Drops | None) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)  # noqa: SLF001 - the SDK's readers take them there
        self._exporter = exporter
        self._drops = drops
        if drops is not None:
            drops.register(FAILED)

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = MetricExportResult.FAILURE
        try:
            result = self._exporter.export(metrics_data, timeout_millis, **kwargs)
        finally:
            if result is not MetricExportResult.SUCCESS and self._drops is not None:
                self._drops.add(FAILED)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        self._exporter.shutdown(timeout_millis, **kwargs)


class TargetsExporter(CountingExporter):
    """Sends the targets after what it is given; not at all where that already fails.

    Between requests it pauses, over all for about `spread` seconds where there are many. As long it waits at
    most for others that compute: one of them may be an export that hangs.
    """

    def __init__(
        self,
        exporter: MetricExporter,
        drops: Drops | None,
        state: MonitorState,
        resource: Resource,
        scope: InstrumentationScope,
        at_once: int,
        at_the_stop: int,
        spread: float,
    ) -> None:
        super().__init__(exporter, drops)
        self._state = state
        self._resource = resource
        self._scope = scope
        self._at_once = at_once
        """Points in a request."""
        self._at_the_stop = at_the_stop
        """The same once there is no time for many requests."""
        self._spread = spread
        self._stopping = threading.Event()
        preferred = self._preferred_temporality or {}
        self._counters = _Counters(preferred.get(ObservableCounter, AggregationTemporality.CUMULATIVE))

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        result = super().export(metrics_data, timeout_millis, **kwargs)
        if result is not MetricExportResult.SUCCESS:
            return result
        snapshots = self._state.view()
        pause = self._pause(len(snapshots))
        left = self._spread
        for metrics in self._requests(snapshots):
            self._stopping.wait(pause)
            patience = 0.0 if self._stopping.is_set() else min(PATIENCE, left)
            scoped = ScopeMetrics(scope=self._scope, metrics=metrics, schema_url="")
            whole = ResourceMetrics(resource=self._resource, scope_metrics=[scoped], schema_url="")
            asked = time.monotonic()
            with TURNS.take(patience):
                left = max(0.0, left - (time.monotonic() - asked))
                result = super().export(MetricsData([whole]), timeout_millis, **kwargs)
            if result is not MetricExportResult.SUCCESS:
                return result
            self._counters.taken()
        self._counters.end_period()
        return result

    def stop_pausing(self) -> None:
        """From now on the export under way and the last one take as little time as they can."""
        self._stopping.set()

    def _pause(self, targets: int) -> float:
        requests = targets * METRICS_PER_TARGET / self._at_once
        return min(PAUSE, self._spread / max(1.0, requests))

    def _requests(self, snapshots: Sequence[TargetSnapshot]) -> Iterator[list[Metric]]:
        """Small metrics together, large ones in parts."""
        together: list[Metric] = []
        room = self._room()
        began, at = self._counters.next_period(time.time_ns())
        for instrument, rows in target_rows(snapshots, time.monotonic()):
            points = self._points(instrument, rows, began, at)
            while part := list(islice(points, room)):
                together.append(self._metric(instrument, part))
                room -= len(part)
                if not room:
                    yield together
                    together, room = [], self._room()
        if together:
            yield together

    def _room(self) -> int:
        return self._at_the_stop if self._stopping.is_set() else self._at_once

    def _points(
        self, instrument: Instrument, rows: Iterable[Row], began: int, at: int
    ) -> Iterator[NumberDataPoint]:
        counts = instrument.kind is Kind.COUNTER
        for attributes, value in rows:
            if counts:
                value = self._counters.value(instrument, attributes, value)  # noqa: PLW2901 - the same count
            yield NumberDataPoint(attributes, began if counts else 0, at, value)

    def _metric(self, instrument: Instrument, points: list[NumberDataPoint]) -> Metric:
        data: Sum | Gauge
        if instrument.kind is Kind.COUNTER:
            data = Sum(points, self._counters.temporality, is_monotonic=True)
        else:
            data = Gauge(points)
        return Metric(instrument.otlp, instrument.description, instrument.otlp_unit, data)


class _Counters:
    """Counts since the start, or since they were last taken where a collector prefers that."""

    def __init__(self, temporality: AggregationTemporality) -> None:
        self.temporality = temporality
        self._began = time.time_ns()
        self._before: dict[tuple[str, ...], float] = {}
        self._after: dict[tuple[str, ...], float] = {}
        self._sent: dict[tuple[str, ...], float] = {}

    def next_period(self, at: int) -> tuple[int, int]:
        """The times between which the counts to come lie, in nanoseconds of Unix time."""
        began = self._began
        if self.temporality is AggregationTemporality.DELTA:
            self._began = at
            self._after, self._sent = {}, {}
        return began, at

    def taken(self) -> None:
        """The collector has what was asked for since the last call."""
        self._before.update(self._sent)
        self._after.update(self._sent)
        self._sent.clear()

    def end_period(self) -> None:
        """All was taken: what was not among it is there no more."""
        self._before = self._after

    def value(self, instrument: Instrument, attributes: dict[str, str], count: float) -> float:
        if self.temporality is not AggregationTemporality.DELTA:
            return count
        key = (instrument.name, *attributes.values())
        before = self._before.get(key, 0)
        self._sent[key] = count
        return count - before if count >= before else count
