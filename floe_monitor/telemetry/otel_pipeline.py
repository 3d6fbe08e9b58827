"""The OpenTelemetry SDK: its providers and exporters, and the sink that feeds them.

Imported only when export is configured. Everything that talks to a collector runs in the SDK's own daemon
threads; a collector that refuses, hangs or answers 503 costs spans, which are counted, and nothing else.
"""

from __future__ import annotations

import logging
import os
import time
from functools import partial
from typing import TYPE_CHECKING

# gRPC's core writes to standard error by itself, past every bound of ours.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    MeterProvider,
    ObservableCounter,
    ObservableGauge,
)
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.util.re import parse_env_headers

from floe_monitor.compute.toolkit.worker_thread import WorkerThread
from floe_monitor.domain.plurals import counted
from floe_monitor.telemetry.otel_metrics import Recorder, observe_monitor
from floe_monitor.telemetry.otel_spans import SCOPE, BoundedSpanProcessor, NoSpans, SpanTracing
from floe_monitor.telemetry.otel_targets import CountingExporter, TargetsExporter

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.metrics.export import CardinalityLimits, MetricExporter
    from opentelemetry.sdk.metrics.view import Aggregation
    from opentelemetry.sdk.trace.export import SpanExporter

    from floe_monitor.domain.events import Event
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.fanout import Drops
    from floe_monitor.telemetry.otel_config import Plan, Scrubber

log = logging.getLogger("floe_monitor.telemetry")

CARDINALITY = 1_000_000
"""Series per instrument: the SDK merges what goes beyond its default of 2,000."""
POINTS_PER_REQUEST = 10_000
"""Well under the 4 MB that gRPC servers take."""
TARGET_POINTS_PER_REQUEST = 500
"""What is encoded within about the time, 5 ms, after which a thread must hand the interpreter on anyway."""
SPREAD = 1 / 6
"""The share of the interval over which an export's requests are spread, where there are many."""
REPORT_EVERY = 60.0
TEXT_LIMIT = 500


class OtelSink:
    """Records events as metrics; `tracing` makes the spans. `shutdown` flushes both."""

    name = "otlp"

    def __init__(
        self, plan: Plan, version: str, state: MonitorState, drops: Drops | None, *, scrub: Scrubber
    ) -> None:
        self._sdk_log = _SdkLogHandler(scrub)
        resource = _resource(plan, version)
        self.tracing: SpanTracing | NoSpans = NoSpans()
        self._recorder: Recorder | None = None
        self._closers: list[tuple[WorkerThread, Callable[[float], object]]] = []
        self._pausing: TargetsExporter | None = None
        if plan.traces is not None:
            spans = BoundedSpanProcessor(_span_exporter(plan), drops)
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(spans)
            self.tracing = SpanTracing(tracers, spans, version)
            self._close_with(lambda _: tracers.shutdown())
            _offer_to_plugins(tracers)
        if plan.metrics is not None:
            kinds = (Counter, Histogram, ObservableCounter, ObservableGauge)
            exporter = TargetsExporter(
                _metric_exporter(plan, divided=False),
                drops,
                state,
                resource,
                InstrumentationScope(SCOPE, version),
                TARGET_POINTS_PER_REQUEST,
                POINTS_PER_REQUEST,
                plan.metric_interval * SPREAD,
            )
            self._pausing = exporter
            limits: CardinalityLimits = dict.fromkeys(kinds, CARDINALITY)
            meter = self._open_meters(plan, exporter, resource, limits).get_meter(SCOPE, version)
            self._recorder = Recorder(meter)
            observe_monitor(meter, state, version)
            if not isinstance(metrics.get_meter_provider(), MeterProvider):
                # One of its own: a reader waits for every callback, and a plugin's may hang.
                others = CountingExporter(_metric_exporter(plan, divided=True), drops)
                metrics.set_meter_provider(self._open_meters(plan, others, resource, None))

    def _open_meters(
        self, plan: Plan, exporter: MetricExporter, resource: Resource, limits: CardinalityLimits | None
    ) -> MeterProvider:
        """A provider whose reader exports, in a thread of its own; closed at the shutdown."""
        reader = PeriodicExportingMetricReader(
            exporter,
            export_interval_millis=plan.metric_interval * 1000,
            cardinality_limits=limits,
        )
        meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        self._close_with(lambda timeout: meters.shutdown(timeout_millis=timeout * 1000))
        return meters

    def _close_with(self, close: Callable[[float], object]) -> None:
        """Its thread is there from now on: at a limit on threads the stop could not have one."""
        self._closers.append((WorkerThread("otlp-shutdown"), close))

    def handle(self, event: Event) -> None:
        if self._recorder is not None:
            self._recorder.handle(event)

    def shutdown(self, timeout: float) -> bool:
        """Flush, for at most `timeout` seconds. False if the collector did not take it all in time."""
        deadline = time.monotonic() + timeout
        if self._pausing is not None:
            self._pausing.stop_pausing()
        # The SDK exceeds its own timeouts where a collector hangs; the threads it hangs in are abandoned.
        calls = [thread.submit(partial(close, timeout)) for thread, close in self._closers]
        for thread, _ in self._closers:
            thread.end()
        self._closers.clear()
        ended = [call.done.wait(max(0.0, deadline - time.monotonic())) for call in calls]
        self._sdk_log.restore()
        return all(ended)


def _resource(plan: Plan, version: str) -> Resource:
    """The configuration's attributes over our own, the environment's over both."""
    ours = {"service.name": "floe-monitor", "service.version": version, "service.instance.id": plan.instance}
    named = Resource.create().merge(Resource({**ours, **plan.resource}))
    return _HashedOnce(dict(named.merge(OTELResourceDetector().detect()).attributes))


class _HashedOnce(Resource):
    """The SDK groups spans by resource, whose hash writes it out as JSON each time: a sixth of encoding."""

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = super().__hash__()
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or super().__eq__(other)

    _hash: int | None = None


def _offer_to_plugins(tracers: TracerProvider) -> None:
    """Make ours the global provider, unless there is one already: spans of plugins and drivers nest in it."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(tracers)


def _span_exporter(plan: Plan) -> SpanExporter:
    destination = plan.traces
    assert destination is not None  # noqa: S101 - the caller asks for traces only then
    headers = dict(plan.headers) or None
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import (  # noqa: PLC0415 - gRPC is heavy
            OTLPSpanExporter as GrpcSpanExporter,
        )

        return GrpcSpanExporter(endpoint=destination.endpoint, headers=_with_environment(headers, "TRACES"))
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter(endpoint=destination.endpoint, headers=headers)


def _metric_exporter(plan: Plan, *, divided: bool) -> MetricExporter:
    """`divided`: into requests of a size that servers take, for which the SDK copies all of them."""
    destination = plan.metrics
    assert destination is not None  # noqa: S101 - the caller asks for metrics only then
    headers = dict(plan.headers) or None
    aggregation = _histograms(plan)
    if destination.protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import (  # noqa: PLC0415 - gRPC is heavy
            OTLPMetricExporter as GrpcMetricExporter,
        )

        return GrpcMetricExporter(
            endpoint=destination.endpoint,
            headers=_with_environment(headers, "METRICS"),
            preferred_aggregation=aggregation,
            max_export_batch_size=POINTS_PER_REQUEST if divided else None,
        )
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415

    return OTLPMetricExporter(
        endpoint=destination.endpoint,
        headers=headers,
        preferred_aggregation=aggregation,
        max_export_batch_size=POINTS_PER_REQUEST if divided else None,
    )


def _histograms(plan: Plan) -> dict[type, Aggregation] | None:
    if plan.exponential is None:
        return None
    if plan.exponential:
        return {Histogram: ExponentialBucketHistogramAggregation()}
    return {Histogram: ExplicitBucketHistogramAggregation()}  # with the buckets that an instrument asks for


def _with_environment(headers: dict[str, str] | None, signal: str) -> dict[str, str] | None:
    """The configuration's headers over the environment's, as the HTTP exporter does by itself."""
    if headers is None:
        return None
    named = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_HEADERS") or os.environ.get(
        "OTEL_EXPORTER_OTLP_HEADERS", ""
    )
    return {**parse_env_headers(named, liberal=True), **headers}


class _SdkLogHandler(logging.Handler):
    """The SDK's own log, through ours: each message once a minute, scrubbed, without tracebacks."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__()
        self._scrub = scrub
        self._said: dict[tuple[str, str], float] = {}
        self._swallowed: dict[tuple[str, str], int] = {}
        self._logger = logging.getLogger("opentelemetry")
        self._before = (self._logger.handlers[:], self._logger.propagate, self._logger.level)
        self._logger.handlers[:] = [self]
        self._logger.propagate = False
        self._logger.setLevel(logging.WARNING)

    def restore(self) -> None:
        self._logger.handlers[:], self._logger.propagate, level = self._before
        self._logger.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        key = (record.name, str(record.msg))
        now = time.monotonic()
        if now - self._said.get(key, -REPORT_EVERY) < REPORT_EVERY:
            self._swallowed[key] = self._swallowed.get(key, 0) + 1
            return
        self._said[key] = now
        again = self._swallowed.pop(key, 0)
        log.warning("%s%s", self._text(record), f" ({counted(again, 'more time')} before)" if again else "")

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self._scrub(record.getMessage())[:TEXT_LIMIT]
        except Exception:  # noqa: BLE001 - a message that does not fit its arguments
            return str(record.msg)
