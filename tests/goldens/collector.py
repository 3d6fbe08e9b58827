"""What a daemon exports over OTLP, as shapes: names, units, kinds and attributes, no measured values."""

from __future__ import annotations

import contextlib
import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VARIES = ("process.", "host.", "os.", "service.instance.id", "telemetry.sdk.version")
"""Attributes whose value is of the machine, the process or a library."""


class Collector:
    """An OTLP receiver over HTTP."""

    def __init__(self) -> None:
        self.shapes: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                {"/v1/traces": collector.traces, "/v1/metrics": collector.metrics}[self.path](body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def metrics(self, body: bytes) -> None:
        for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            self.shapes.add(f"resource of metrics {_shown(resource.resource.attributes)}")
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.shapes.update(_metric(metric))

    def traces(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.shapes.add(f"resource of spans {_shown(resource.resource.attributes)}")
            for scope in resource.scope_spans:
                self.shapes.update(_span(span) for span in scope.spans)


def _metric(metric: Any) -> Iterator[str]:
    kind = metric.WhichOneof("data")
    data = getattr(metric, kind)
    head = f"metric {metric.name} ({metric.unit}) {kind}"
    if kind != "gauge":
        head += f" {_word(AggregationTemporality.Name(data.aggregation_temporality))}"
    yield f"{head}: {metric.description}"
    for point in data.data_points:
        yield f"{head} {_shown(point.attributes)}"
        if kind == "histogram":
            yield f"{head} bounds {list(point.explicit_bounds)}"


def _span(span: Any) -> str:
    place = "child" if span.parent_span_id else "root"
    kind, status = _word(Span.SpanKind.Name(span.kind)), _word(Status.StatusCode.Name(span.status.code))
    said = f" {span.status.message!r}" if span.status.message else ""
    events = "".join(f" event {each.name} {_shown(each.attributes)}" for each in span.events)
    return f"span {span.name}, {place}, {kind}, {status}{said} {_shown(span.attributes)}{events}"


def _word(constant: str) -> str:
    """`SPAN_KIND_CLIENT` as `client`."""
    return constant.rpartition("_")[2].lower()


@contextlib.contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, name="collector", daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join(5)


def _shown(attributes: Iterable[Any]) -> str:
    shown = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        varies = each.key.startswith(_VARIES) or kind == "double_value" or each.key.endswith("correlation_id")
        shown[each.key] = f"<{kind}>" if varies else value
    return "{" + ", ".join(f"{key}={shown[key]}" for key in sorted(shown)) + "}"
