"""Stands in for the OTLP receiver of a Prometheus that has none: a page of what came, as it would be stored.

The Prometheus of the tests (2.42) is older than its OTLP receiver. It scrapes this page with `honor_labels`,
so that what it has then is what `otlp_translation` makes of the requests, staleness apart.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer
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


class OtlpPrometheus(LoopbackServer):
    """Takes metrics by OTLP, and has a page of them."""

    def __init__(self) -> None:
        self.stored = Stored()
        super().__init__(_Handler)
        self.stored.address = f"{LOOPBACK}:{self.port}"


class _Handler(HttpHandler):
    owner: OtlpPrometheus

    def do_POST(self) -> None:  # noqa: N802 - a name of http.server
        found = ExportMetricsServiceRequest.FromString(self.body())
        self.owner.stored.take(list(samples(found)))
        self.answer(200, b"", "text/plain; version=0.0.4")

    def do_GET(self) -> None:  # noqa: N802 - a name of http.server
        self.answer(200, self.owner.stored.page(), "text/plain; version=0.0.4")


@contextmanager
def otlp_prometheus() -> Iterator[Stored]:
    with OtlpPrometheus() as server:
        yield server.stored
