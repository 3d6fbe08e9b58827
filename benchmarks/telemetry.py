"""What exporting one probe costs, sink by sink, beside the client library's bare observe.

    .venv/bin/python benchmarks/telemetry.py

Microseconds of CPU time of the whole process, the SDK's exporting threads included; the collector is another
process. A probe is one ProbeStarted and one ProbeFinished with two checks.
"""

from __future__ import annotations

import asyncio
import gc
import io
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Histogram

from floe_monitor.compute.models import CheckResult, ConnectionStatus
from floe_monitor.events import Event, ProbeFinished, ProbeResult, ProbeStarted
from floe_monitor.health import Health, HealthStatus
from floe_monitor.settings.models import LogSettings, OtlpSettings
from floe_monitor.state import ConfigStatus, MonitorState
from floe_monitor.telemetry.fanout import Fanout
from floe_monitor.telemetry.logs import LogSink, configure_logging
from floe_monitor.telemetry.otel import build_otel
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Callable

PROBES = 20_000
COLLECTOR = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


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


def main() -> None:
    bare = Histogram("bare", "bare", ["plugin", "status"], registry=CollectorRegistry()).labels(
        "duckdb", "healthy"
    )
    bare_us = cost_us(lambda: bare.observe(0.003), PROBES * 5)
    started, done = ProbeStarted("dev", "duckdb", 0.001, 0.0), finished(result())
    print(f"{'bare prometheus_client observe':58} {bare_us:7.2f} us")

    def report(what: str, us: float) -> None:
        print(f"{what:58} {us:7.2f} us   {us / bare_us:6.1f}x bare observe")

    fanout = Fanout([Nothing(), Nothing(), Nothing()], capacity=10**9)
    report("publish to 3 sinks, nobody draining", cost_us(lambda: fanout.publish(done), PROBES))
    empty = idle(2)
    report(
        "event through the fan-out, 3 empty sinks, 2,500 events/s",
        pace(Fanout([Nothing(), Nothing(), Nothing()]), 2500, 2) - empty / 5000 * 1e6,
    )
    prometheus = PrometheusSink()
    one = cost_us(lambda: prometheus.handle(done), PROBES)
    report("prometheus: handle(ProbeFinished)", one)
    report("prometheus: a probe", one + cost_us(lambda: prometheus.handle(started), PROBES))
    settings = LogSettings(probes=True)
    writer = configure_logging(settings, io.StringIO())
    quiet, talking = LogSink(LogSettings()), LogSink(settings)
    report("log: handle(ProbeFinished), no change of status", cost_us(lambda: quiet.handle(done), PROBES))
    report("log: handle(ProbeFinished), a line per probe", cost_us(lambda: talking.handle(done), PROBES // 4))
    writer.close(10)
    otlp(report, started)


def otlp(report: Callable[[str, float], None], started: ProbeStarted) -> None:
    with subprocess.Popen([sys.executable, "-c", COLLECTOR], stdout=subprocess.PIPE, text=True) as collector:
        assert collector.stdout is not None
        endpoint = f"http://127.0.0.1:{int(collector.stdout.readline())}"
        state = MonitorState(0.0, ConfigStatus(0.0, 0.0))
        sink = build_otel(OtlpSettings(endpoint=endpoint, export_interval=1.0), os.environ, "bench", state)
        assert sink is not None
        done = finished(result("ab" * 16, "cd" * 8))

        def record() -> None:
            sink.handle(started)
            sink.handle(done)

        metrics = cost_us(record, PROBES)
        report("otlp: metrics of a probe", metrics)
        tracing = sink.tracing
        lock = threading.Semaphore(0)

        def probe() -> None:
            span = tracing.start(target="dev", plugin="duckdb", db_system="duckdb", correlation_id="c")
            with span.activate():
                pass
            span.end(result(span.trace_id, span.span_id))
            lock.acquire(timeout=0.0002)  # as fast as the exporter can follow, so that nothing is dropped

        def only_waiting() -> None:
            result()
            lock.acquire(timeout=0.0002)

        waiting = cost_us(only_waiting, PROBES // 2)
        made = cost_us(probe, PROBES // 2, lambda: sink.shutdown(30)) - waiting
        report("otlp: spans of a probe (1 + 2 checks), exported", made)
        report("otlp: a probe, in all (target: at most 300 us)", metrics + made)
        collector.terminate()


if __name__ == "__main__":
    main()
