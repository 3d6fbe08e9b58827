"""Spans: one per validation, current while it runs so that a plugin's own nest in it; one per check below."""

from __future__ import annotations

import itertools
import os
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar, cast

from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.compute.redaction.current import current_redactor
from floe_monitor.domain.interpreter_turns import TURNS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span, TracerProvider
    from opentelemetry.util.types import Attributes

    from floe_monitor.compute.redaction.redactor import Redactor
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.telemetry.fanout import Drops

_T = TypeVar("_T")

SCOPE = "floe.compute"
"""The instrumentation scope of the monitor's own, with its version. A plugin may use the name too."""
SPAN_NAME = "validate_connection"
PENDING_LIMIT = 20_000
"""Spans that may wait for the collector: some seconds of the fastest probing."""
KEPT_SECONDS = 300.0
"""For how long a batch is offered to a collector that does not take it."""
PAUSES = (0.5, 5.0)
"""The first pause between two offers, and the longest, in seconds."""
PATIENCE = 0.2
"""Seconds that a batch waits at most for other threads that compute."""
_EXCEPTION_TEXTS = ("exception.message", "exception.stacktrace")
DELAY_MS = 1000
BATCH = 512
"""The SDK's own default: larger ones hold the interpreter longer at a time."""


class BoundedSpanProcessor(SpanProcessor):
    """The SDK's batching, behind a bound that counts what it rejects; lost exports are counted too.

    The SDK gives a batch up after its timeout, ten seconds. Here it is offered again, so that what waits for
    a collector that is away is as much as the bound says.
    """

    def __init__(self, exporter: SpanExporter, drops: Drops | None) -> None:
        self._drops = drops
        if drops is not None:
            drops.register("otlp_spans")
        self._lock = threading.Lock()
        self._pending = 0
        self._closing = threading.Event()
        # The SDK's queue is larger than the bound: it never fills, and so never logs once per span.
        self._batches = BatchSpanProcessor(
            _Persistent(exporter, self, self._closing),
            max_queue_size=2 * PENDING_LIMIT,
            schedule_delay_millis=_from_environment("OTEL_BSP_SCHEDULE_DELAY", DELAY_MS),
            max_export_batch_size=_from_environment("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", BATCH),
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing until it ends."""

    def on_end(self, span: ReadableSpan) -> None:
        """A span of a plugin or its driver, whatever its scope is called."""
        self.add(_without_texts(span))

    def add(self, span: ReadableSpan) -> None:
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
        self._closing.set()
        self._batches.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._batches.force_flush(timeout_millis)


class _Persistent(SpanExporter):
    """Offers a batch until it is taken, was kept long enough, or the monitor stops; counts what is lost."""

    def __init__(
        self, exporter: SpanExporter, processor: BoundedSpanProcessor, closing: threading.Event
    ) -> None:
        self._exporter = exporter
        self._processor = processor
        self._closing = closing

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = SpanExportResult.FAILURE
        pause, longest = PAUSES
        give_up = time.monotonic() + KEPT_SECONDS
        try:
            while True:
                with TURNS.take(0.0 if self._closing.is_set() else PATIENCE):
                    result = self._exporter.export(spans)
                if result is SpanExportResult.SUCCESS or time.monotonic() >= give_up:
                    break
                if self._closing.wait(pause):
                    break
                pause = min(2 * pause, longest)
        finally:
            self._processor.left(len(spans))
            if result is not SpanExportResult.SUCCESS:
                self._processor.lost(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _without_texts(span: ReadableSpan) -> ReadableSpan:
    """A plugin's span without the texts of exceptions, which may quote a credential; in a validation, without
    the target's secrets anywhere."""
    redact = current_redactor()
    if redact is None and not span.events and not span.status.description:
        return span
    events = [
        Event(
            _redacted(event.name, redact),
            _attributes_of(
                {key: each for key, each in (event.attributes or {}).items() if key not in _EXCEPTION_TEXTS},
                redact,
            ),
            event.timestamp,
        )
        for event in span.events
    ]
    return ReadableSpan(
        name=_redacted(span.name, redact),
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_attributes_of(span.attributes or {}, redact),
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _attributes_of(attributes: Attributes, redact: Redactor | None) -> Attributes:
    return {_redacted(key, redact): _redacted(value, redact) for key, value in (attributes or {}).items()}


def _redacted(value: _T, redact: Redactor | None) -> _T:
    """A text, or a sequence that may hold some; numbers as they are."""
    if redact is None:
        return value
    if isinstance(value, str):
        return cast("_T", redact(value))
    if isinstance(value, tuple | list):
        return cast("_T", tuple(_redacted(item, redact) for item in value))
    return value


def _from_environment(name: str, default: int) -> int:
    try:
        return max(1, min(int(os.environ.get(name, default)), 2 * PENDING_LIMIT))
    except ValueError:
        return default


class SpanTracing:
    """Makes the spans of validations.

    What is current while a validation runs is its context alone; the span is made whole when the result is
    there, like those of its checks. That costs a third of the SDK's live span, and nothing of what a plugin
    does to the current span is exported under our name.
    """

    def __init__(self, provider: TracerProvider, processor: BoundedSpanProcessor, version: str) -> None:
        self._provider = provider
        self._processor = processor
        self._scope = InstrumentationScope(SCOPE, version)
        # Unlike any other of this process by counting, and of others by the random beginning.
        self._ids = itertools.count(int.from_bytes(os.urandom(8), "big"))

    def start(self, *, target: str, plugin: str, db_system: str, correlation_id: str) -> ValidationSpan:
        attributes = {
            "compute.plugin": plugin,
            "compute.target": target,
            "compute.correlation_id": correlation_id,
            "db.system.name": db_system,
        }
        trace_id = self._provider.id_generator.generate_trace_id()
        decision = self._provider.sampler.should_sample(
            None, trace_id, SPAN_NAME, SpanKind.CLIENT, attributes
        ).decision
        flags = _SAMPLED if decision is Decision.RECORD_AND_SAMPLE else _UNSAMPLED
        context = SpanContext(trace_id, self._next_id(), is_remote=False, trace_flags=flags)
        return ValidationSpan(self, context, attributes, time.time_ns())

    def end(self, context: SpanContext, attributes: dict[str, str], began: int, result: ProbeResult) -> None:
        origin = int(result.started_at * 1e9)
        ended = max(int(result.finished_at * 1e9), began)
        whole = attributes | {"compute.status": result.status.value}
        if result.error_type is not None:
            whole["error.type"] = result.error_type.value
        if result.server_address:
            whole["server.address"] = result.server_address
        if result.trigger != "schedule":
            whole["compute.trigger"] = result.trigger
        if result.worker != "returned":
            whole["compute.worker"] = result.worker
        status = _status_of(result.status, result.message)
        self._emit(SPAN_NAME, context, None, whole, status, began, ended)
        for check in result.checks:
            start = min(max(origin + int(check.started_ms * 1e6), began), ended)
            end = min(max(start + int(check.latency_ms * 1e6), start), ended)
            found = {"compute.status": check.status.value}
            if check.error_type is not None:
                found["error.type"] = check.error_type.value
            child = SpanContext(
                context.trace_id, self._next_id(), is_remote=False, trace_flags=context.trace_flags
            )
            status = _status_of(check.status, check.message)
            self._emit(check.name or "check", child, context, found, status, start, end)

    def _emit(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        attributes: dict[str, str],
        status: Status,
        start: int,
        end: int,
    ) -> None:
        span = ReadableSpan(
            name=name,
            context=context,
            parent=parent,
            resource=self._provider.resource,
            attributes=attributes,
            kind=SpanKind.INTERNAL if parent else SpanKind.CLIENT,
            status=status,
            start_time=start,
            end_time=end,
            instrumentation_scope=self._scope,
        )
        self._processor.add(span)

    def _next_id(self) -> int:
        return (next(self._ids) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF or 1


class ValidationSpan:
    """The span of one validation, as the runner needs it."""

    __slots__ = ("_attributes", "_began", "_context", "_tracing", "span_id", "trace_id")

    def __init__(
        self, tracing: SpanTracing, context: SpanContext, attributes: dict[str, str], began: int
    ) -> None:
        self._tracing = tracing
        self._context = context
        self._attributes = attributes
        self._began = began
        # The id of a trace that is not exported cannot be looked up.
        sampled = context.trace_flags.sampled
        self.trace_id = format(context.trace_id, "032x") if sampled else None
        self.span_id = format(context.span_id, "016x") if sampled else None

    def activate(self) -> AbstractContextManager[object]:
        current = trace.NonRecordingSpan(self._context)
        return trace.use_span(current, record_exception=False, set_status_on_exception=False)

    def end(self, result: ProbeResult) -> None:
        if self._context.trace_flags.sampled:
            self._tracing.end(self._context, self._attributes, self._began, result)


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
_SAMPLED = trace.TraceFlags(trace.TraceFlags.SAMPLED)
_UNSAMPLED = trace.TraceFlags(trace.TraceFlags.DEFAULT)


def _status_of(status: ConnectionStatus, message: str) -> Status:
    if status is ConnectionStatus.UNHEALTHY:
        return Status(StatusCode.ERROR, message[:500] or None)
    return _UNSET
