"""A trace from the probe to the collector, and from a Prometheus histogram's exemplar back to it."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.e2e


class Collector:
    """Receives OTLP over HTTP and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.paths: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, self.headers.get("content-encoding") == "gzip", body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def take(self, path: str, gzipped: bool, body: bytes) -> None:
        self.paths.add(path)
        if path == "/v1/traces":
            request = trace_service_pb2.ExportTraceServiceRequest()
            request.ParseFromString(gzip.decompress(body) if gzipped else body)
            self.spans += [
                span for each in request.resource_spans for scope in each.scope_spans for span in scope.spans
            ]


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join(5)


def test_an_exemplar_in_prometheus_leads_to_the_span_at_the_collector(
    start_daemon: Callable[..., Any],
    start_prometheus: Callable[[dict[str, Any]], Any],
    collector: Collector,
    wait_until: Callable[[Callable[[], Any], float, str], Any],
) -> None:
    daemon = start_daemon(
        "probe: {interval: 500ms}\ntargets:\n"
        '  dev: {plugin: duckdb, connection: {path: ":memory:"}}\n'
        "  ill: {plugin: lab, connection: {behave: unhealthy}}\n",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        OTEL_BSP_SCHEDULE_DELAY="200",
        OTEL_METRIC_EXPORT_INTERVAL="500",
    )
    prometheus = start_prometheus(
        {
            "global": {"scrape_interval": "500ms"},
            "scrape_configs": [
                {"job_name": "floe-monitor", "static_configs": [{"targets": [daemon.url.split("//")[1]]}]}
            ],
        }
    )

    def exemplars() -> set[str]:
        answer = prometheus.get(
            "/api/v1/query_exemplars",
            query='floe_compute_validation_duration_seconds_bucket{plugin="duckdb"}',
            start="0",
            end="4102444800",
        )
        return {e["labels"]["trace_id"] for series in answer["data"] for e in series["exemplars"]}

    def linked() -> set[str]:
        return exemplars() & {span.trace_id.hex() for span in collector.spans}

    shared = wait_until(linked, 100, "an exemplar whose trace the collector has")
    trace_id = next(iter(shared))
    spans = [span for span in collector.spans if span.trace_id.hex() == trace_id]
    [root] = [span for span in spans if not span.parent_span_id]
    attributes = {each.key: each.value.string_value for each in root.attributes}
    assert attributes["db.system.name"] == "duckdb"
    assert {span.name for span in spans if span.parent_span_id == root.span_id} >= {"connect", "query"}
    wait_until(lambda: "/v1/metrics" in collector.paths, 60, "metrics by OTLP too")
    failed = [
        {each.key: each.value.string_value for each in span.attributes}
        for span in collector.spans
        if span.status.code == 2
    ]
    assert any(each.get("error.type") == "connection" for each in failed)
    assert daemon.stop() == 0
