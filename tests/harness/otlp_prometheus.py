"""Stands in for the OTLP receiver of a Prometheus that has none: a page of what came, as it would be stored.

The Prometheus of the tests (2.42) is older than its OTLP receiver. It scrapes this page with `honor_labels`,
so that what it has then is what `otlp_translation` makes of the requests, staleness apart.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from floe_monitor.telemetry.text_format import labels_block
from tests.harness.otlp_translation import Sample, samples

if TYPE_CHECKING:
    from collections.abc import Iterator

KEPT_SECONDS = 60.0


@dataclass
class Stored:
    """What came in the last minute: when, and the newest value of each series."""

    address: str = ""
    series: dict[tuple[str, frozenset[tuple[str, str]]], tuple[float, float]] = field(default_factory=dict)

    def take(self, found: list[Sample]) -> None:
        now = time.monotonic()
        self.series.update({(each.name, each.labels): (now, each.value) for each in found})

    def page(self) -> bytes:
        since = time.monotonic() - KEPT_SECONDS
        kept = [(key, value) for key, (at, value) in list(self.series.items()) if at >= since]
        kept.sort(key=lambda item: item[0][0])  # the lines of a metric are together
        return "".join([f"{name}{_block(labels)} {value!r}\n" for (name, labels), value in kept]).encode()


def _block(labels: frozenset[tuple[str, str]]) -> str:
    return labels_block(*zip(*sorted(labels), strict=True)) if labels else ""


@contextmanager
def otlp_prometheus() -> Iterator[Stored]:
    stored = Stored()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            stored.take(list(samples(ExportMetricsServiceRequest.FromString(body))))
            self._answer(b"")

        def do_GET(self) -> None:
            self._answer(stored.page())

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stored.address = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield stored
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
