"""Spans: one per validation, live while it runs so that a plugin's own nest in it; one per check below it."""

from __future__ import annotations

import itertools
import os
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from floe_monitor.compute.models import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span, TracerProvider

    from floe_monitor.compute.models import CheckResult
    from floe_monitor.events import ProbeResult
    from floe_monitor.telemetry.fanout import Drops

SPAN_NAME = "validate_connection"
DB_SYSTEMS = {"postgres": "postgresql", "bigquery": "gcp.bigquery"}
"""OpenTelemetry's names where plugins go by another."""
PENDING_LIMIT = 20_000
"""Spans that may wait for the collector: some seconds of the fastest probing."""
DELAY_MS = 1000
BATCH = 512
"""The SDK's own default: larger ones hold the interpreter longer at a time."""


class BoundedSpanProcessor(SpanProcessor):
    """The SDK's batching, behind a bound that counts what it turns away; lost exports are counted too."""

    def __init__(self, exporter: SpanExporter, drops: Drops | None) -> None:
        self._drops = drops
        if drops is not None:
            drops.register("otlp_spans")
        self._lock = threading.Lock()
        self._pending = 0
        # The SDK's queue is larger than the bound: it never fills, and so never logs once per span.
        self._batches = BatchSpanProcessor(
            _Counting(exporter, self),
            max_queue_size=2 * PENDING_LIMIT,
            schedule_delay_millis=_from_environment("OTEL_BSP_SCHEDULE_DELAY", DELAY_MS),
            max_export_batch_size=_from_environment("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH),
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing until it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        context = span.context
        if context is None or not context.trace_flags.sampled:
            return
        with self._lock:
            full = self._pending >= PENDING_LIMIT
            if not full:
                self._pending += 1
        if full:
            self.lost(1)
        else:
            self._batches.on_end(span)

    def left(self, count: int) -> None:
        with self._lock:
            self._pending -= count

    def lost(self, count: int) -> None:
        if self._drops is not None:
            self._drops.add("otlp_spans", count)

    def shutdown(self) -> None:
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)


class _Counting(SpanExporter):
    def __init__(self, exporter: SpanExporter, processor: BoundedSpanProcessor) -> None:
        self._exporter = exporter
        self._processor = processor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        try:
            result = self._exporter.export(spans)
        finally:
            self._processor.left(len(spans))
            if result is not SpanExportResult.SUCCESS:
                self._processor.lost(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _from_environment(name: str, default: int) -> int:
    try:
        return max(1, min(int(os.environ.get(name, default)), 2 * PENDING_LIMIT))
    except ValueError:
        return default


class SpanTracing:
    """Starts the spans of validations."""

    def __init__(self, provider: TracerProvider, processor: BoundedSpanProcessor, version: str) -> None:
        self.provider = provider
        self._processor = processor
        self._tracer = provider.get_tracer("floe_monitor", version)
        seed = int.from_bytes(os.urandom(8), "big")
        self._ids = itertools.count(seed)

    def start(self, *, target: str, plugin: str, db_system: str, correlation_id: str) -> ValidationSpan:
        span = self._tracer.start_span(
            SPAN_NAME,
            kind=SpanKind.CLIENT,
            attributes={
                "compute.plugin": plugin,
                "compute.target": target,
                "compute.correlation_id": correlation_id,
                "db.system.name": DB_SYSTEMS.get(db_system, db_system),
            },
        )
        return ValidationSpan(span, self)

    def checks_of(self, span: ReadableSpan, result: ProbeResult) -> None:
        """A child span for each check. Made whole: started one by one they would cost three times as much."""
        parent = span.context
        began, ended = span.start_time, span.end_time
        if parent is None or began is None or ended is None:
            return
        origin = int(result.started_at * 1e9)
        for check in result.checks:
            start = min(max(origin + int(check.started_ms * 1e6), began), ended)
            end = min(max(start + int(check.latency_ms * 1e6), start), ended)
            self._processor.on_end(self._check_span(check, parent, span, start, end))

    def _check_span(
        self, check: CheckResult, parent: SpanContext, span: ReadableSpan, start: int, end: int
    ) -> ReadableSpan:
        attributes = {"compute.check": check.name, "compute.status": check.status.value}
        if check.error_type is not None:
            attributes["error.type"] = check.error_type.value
        return ReadableSpan(
            name=check.name or "check",
            context=SpanContext(
                parent.trace_id, self._next_id(), is_remote=False, trace_flags=parent.trace_flags
            ),
            parent=parent,
            resource=span.resource,
            attributes=attributes,
            status=_status_of(check.status, check.message),
            start_time=start,
            end_time=end,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _next_id(self) -> int:
        """Unlike any other of the process, and of others by its random beginning."""
        return (next(self._ids) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF or 1


class ValidationSpan:
    """The live span of one validation, as the runner needs it."""

    __slots__ = ("_span", "_tracing", "span_id", "trace_id")

    def __init__(self, span: trace.Span, tracing: SpanTracing) -> None:
        self._span = span
        self._tracing = tracing
        context = span.get_span_context()
        # A trace that is not exported leads nowhere.
        sampled = context.trace_flags.sampled
        self.trace_id = format(context.trace_id, "032x") if sampled else None
        self.span_id = format(context.span_id, "016x") if sampled else None

    def activate(self) -> AbstractContextManager[object]:
        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)

    def end(self, result: ProbeResult) -> None:
        span = self._span
        if not span.is_recording():
            return
        span.set_attributes(
            {
                "compute.status": result.status.value,
                "compute.trigger": result.trigger,
                "compute.worker": result.worker,
            }
        )
        if result.error_type is not None:
            span.set_attribute("error.type", result.error_type.value)
        status = _status_of(result.status, result.message)
        if status.status_code is not StatusCode.UNSET:
            span.set_status(status)
        ended = int(result.finished_at * 1e9)
        if isinstance(span, ReadableSpan):
            span.end(max(ended, span.start_time or ended))
            self._tracing.checks_of(span, result)


class NoSpans:
    """Tracing while metrics alone are exported."""

    trace_id: str | None = None
    span_id: str | None = None

    def start(self, *, target: str, plugin: str, db_system: str, correlation_id: str) -> NoSpans:  # noqa: ARG002
        return self

    def activate(self) -> AbstractContextManager[object]:
        return nullcontext()

    def end(self, result: ProbeResult) -> None:
        """Nothing was started."""


_UNSET = Status(StatusCode.UNSET)


def _status_of(status: ConnectionStatus, message: str) -> Status:
    if status is ConnectionStatus.UNHEALTHY:
        return Status(StatusCode.ERROR, message[:500] or None)
    return _UNSET
