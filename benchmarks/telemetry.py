"""What exporting one probe costs, sink by sink, beside the client library's bare observe.

    .venv/bin/python -m benchmarks.telemetry

Microseconds of CPU time of the whole process, the SDK's exporting threads included; the collector is another
process. A probe is one ProbeStarted and one ProbeFinished with two checks.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram

from benchmarks.collector import collector
from benchmarks.report import Row, show
from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.domain.events import Event, ProbeFinished, ProbeResult, ProbeStarted
from floe_monitor.domain.health import Health, HealthStatus
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.settings.models import LogSettings, OtlpSettings
from floe_monitor.telemetry.fanout import Fanout
from floe_monitor.telemetry.log_sink import LogSink
from floe_monitor.telemetry.logs import configure_logging
from floe_monitor.telemetry.otel_export import build_otel
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROBES = 20_000


class Nothing:
    name = "nothing"

    def handle(self, event: Event) -> None:
        """Takes what it is given."""


def result(trace_id: str | None = None, span_id: str | None = None) -> ProbeResult:
    healthy = ConnectionStatus.HEALTHY
    checks = (CheckResult("connect", healthy, 2.0), CheckResult("query", healthy, 1.0, started_ms=2.0))
    return ProbeResult(
        "dev",
        "duckdb",
        healthy,
        0.003,
        time.time(),
        "c0ffee",
        checks=checks,
        trace_id=trace_id,
        span_id=span_id,
    )


def finished(of: ProbeResult) -> ProbeFinished:
    return ProbeFinished(of, Health(HealthStatus.HEALTHY), None, "duckdb")


def cost_us(repeat: Callable[[], object], times: int, finish: Callable[[], object] = lambda: None) -> float:
    gc.collect()
    began = time.process_time()
    for _ in range(times):
        repeat()
    finish()
    return (time.process_time() - began) / times * 1e6


def pace(fanout: Fanout, per_second: int, seconds: float) -> float:
    """CPU µs per event through a fan-out, at a steady rate from an event loop, as the daemon publishes."""

    async def publish() -> int:
        sent, began = 0, time.monotonic()
        while (elapsed := time.monotonic() - began) < seconds:
            while sent < elapsed * per_second:
                fanout.publish(event)
                sent += 1
            await asyncio.sleep(0.004)
        return sent

    event = finished(result())
    fanout.start()
    began = time.process_time()
    sent = asyncio.run(publish())
    fanout.close(10)
    return (time.process_time() - began) / sent * 1e6


def idle(seconds: float) -> float:
    async def tick() -> None:
        for _ in range(int(seconds / 0.004)):
            await asyncio.sleep(0.004)

    began = time.process_time()
    asyncio.run(tick())
    return time.process_time() - began


def rows() -> Iterator[Row]:
    children = Histogram("bare", "bare", ["plugin", "status"], registry=CollectorRegistry())
    bare = children.labels("duckdb", "healthy")
    bare_us = cost_us(lambda: bare.observe(0.003), PROBES * 5)
    started, done = ProbeStarted("dev", "duckdb", 0.001, 0.0), finished(result())

    def row(claim: str, us: float, limit: float | None = None) -> Row:
        target = f"<= {limit:.0f} us" if limit else ""
        compared = f"{us / bare_us:.1f}x a bare prometheus_client observe ({bare_us:.2f} us)"
        return Row(claim, f"{us:.1f} us", target, us <= limit if limit else None, compared)

    fanout = Fanout([Nothing(), Nothing(), Nothing()], capacity=10**9)
    yield row("publish to 3 sinks", cost_us(lambda: fanout.publish(done), PROBES))
    empty = idle(2) / 5000 * 1e6
    paced = pace(Fanout([Nothing(), Nothing(), Nothing()]), 2500, 2) - empty
    yield row("event through the fan-out, 2,500 events/s, 3 sinks", paced)
    prometheus = PrometheusSink()
    probe = cost_us(lambda: prometheus.handle(done), PROBES) + cost_us(
        lambda: prometheus.handle(started), PROBES
    )
    yield row("Prometheus: a probe", probe, 40)
    settings = LogSettings(probes=True)
    writer = configure_logging(settings, io.StringIO())
    quiet, talking = LogSink(LogSettings()), LogSink(settings)
    yield row("log: a probe without a change of status", cost_us(lambda: quiet.handle(done), PROBES))
    yield row("log: a line per probe", cost_us(lambda: talking.handle(done), PROBES // 4))
    writer.close(10)
    with collector() as endpoint:
        metrics, spans = otlp(endpoint, started)
    yield row("OTLP: metrics of a probe", metrics)
    yield row("OTLP: its three spans, exported over HTTP", spans)
    yield row("OTLP: a probe in all", metrics + spans, 300)


def otlp(endpoint: str, started: ProbeStarted) -> tuple[float, float]:
    """CPU µs of one probe's metrics and of its spans."""
    state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
    settings = OtlpSettings(endpoint=endpoint, export_interval=1.0)
    sink = build_otel(settings, os.environ, "bench", state)
    assert sink is not None
    done = finished(result("ab" * 16, "cd" * 8))

    def record() -> None:
        sink.handle(started)
        sink.handle(done)

    metrics = cost_us(record, PROBES)
    tracing, never = sink.tracing, threading.Semaphore(0)

    def probe() -> None:
        span = tracing.start(target="dev", plugin="duckdb", db_system="duckdb", correlation_id="c")
        with span.activate():
            pass
        span.end(result(span.trace_id, span.span_id))
        never.acquire(timeout=0.0002)  # the exporter's turn, so that nothing is dropped

    def only_waiting() -> None:
        result()
        never.acquire(timeout=0.0002)

    waiting = cost_us(only_waiting, PROBES // 2)
    return metrics, cost_us(probe, PROBES // 2, lambda: sink.shutdown(30)) - waiting


if __name__ == "__main__":
    for each in rows():
        show([each])
