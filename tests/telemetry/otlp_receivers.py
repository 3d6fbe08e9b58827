"""Collectors as a test needs them: over HTTP and gRPC, one that is silent, one that refuses."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS: dict[str, tuple[str, Any]] = {
    "/v1/traces": ("traces", trace_service_pb2.ExportTraceServiceRequest),
    "/v1/metrics": ("metrics", metrics_service_pb2.ExportMetricsServiceRequest),
}


@dataclass
class Received:
    """What a receiver got, decoded."""

    endpoint: str = ""
    status: int = 200
    """What is answered over HTTP."""
    requests: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)

    def spans(self) -> list[Any]:
        return [
            span
            for kind, request, _ in list(self.requests)
            if kind == "traces"
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        """By name, the newest of each."""
        return {
            metric.name: metric
            for kind, request, _ in list(self.requests)
            if kind == "metrics"
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class _HttpReceiver(LoopbackServer):
    def __init__(self, status: int) -> None:
        self.received = Received(status=status)
        super().__init__(_HttpRequests)
        self.received.endpoint = f"http://{LOOPBACK}:{self.port}"


class _HttpRequests(HttpHandler):
    owner: _HttpReceiver

    def do_POST(self) -> None:  # noqa: N802 - a name of http.server
        kind, message = _KINDS[self.path]
        headers = {name.lower(): value for name, value in self.headers.items()}
        received = self.owner.received
        received.requests.append((kind, message.FromString(self.body()), headers))
        self.answer(received.status, b"")


@contextmanager
def http_receiver(status: int = 200) -> Iterator[Received]:
    with _HttpReceiver(status) as server:
        yield server.received


@contextmanager
def grpc_receiver() -> Iterator[Received]:
    received = Received()

    def keep(kind: str, request: Any, context: Any) -> None:
        received.requests.append((kind, request, dict(context.invocation_metadata())))

    class Traces(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            keep("traces", request, context)
            return trace_service_pb2.ExportTraceServiceResponse()

    class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
            keep("metrics", request, context)
            return metrics_service_pb2.ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]
    received.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield received
    finally:
        server.stop(None).wait()


@contextmanager
def silent_receiver() -> Iterator[Received]:
    """Accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield Received(endpoint=f"http://127.0.0.1:{server.getsockname()[1]}")


@contextmanager
def refusing_receiver() -> Iterator[Received]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    yield Received(endpoint=f"http://127.0.0.1:{port}")
