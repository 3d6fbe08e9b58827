"""What the alert rules cost Prometheus: ten thousand targets, seen by two monitors, at the shipped intervals.

.venv/bin/python -m benchmarks rules
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, show
from benchmarks.scrape import build
from conformance.alerts.clocks import STEP, Clock
from conformance.alerts.servers import LOOPBACK, Servers, missing_programs
from floe_monitor.domain.health import HealthStatus
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB = "floe-scale"
WARM_UP, MEASURED = 60.0, 120.0
ILL = 100
"""Targets that fire, each of which asks its annotations' queries at every evaluation."""


@contextmanager
def monitor(count: int) -> Iterator[str]:
    """The page of a monitor, at the address that is yielded."""
    state = build(count)
    for name in list(state.targets)[:ILL]:
        snapshot = state.targets[name]
        health = replace(snapshot.health, status=HealthStatus.UNHEALTHY)
        state.targets[name] = replace(snapshot, health=health)
    page = MetricsPage(state, PrometheusSink(), "bench")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = page.render(openmetrics=True)
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, name="monitor", daemon=True)
    thread.start()
    try:
        yield f"{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def groups(url: str) -> list[tuple[str, float, float]]:
    """Of each group its name, interval, and the seconds of its last evaluation."""
    with urllib.request.urlopen(f"{url}/api/v1/rules", timeout=60) as answer:  # noqa: S310 - loopback
        found = json.load(answer)["data"]["groups"]
    return [(each["name"], each["interval"], each["evaluationTime"]) for each in found]


def rows(count: int = 10_000) -> Iterator[Row]:
    if missing := missing_programs():
        print(f"rules: not installed: {', '.join(missing)}", file=sys.stderr)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fm-rules-")))
        addresses = [stack.enter_context(monitor(count)) for _ in range(2)]
        servers = stack.enter_context(Servers(folder, Clock(), [JOB], STEP))
        servers.discover(JOB, addresses)
        time.sleep(WARM_UP)
        began, used = time.monotonic(), cpu_seconds(servers.prometheus_pid)
        time.sleep(MEASURED)
        share = (cpu_seconds(servers.prometheus_pid) - used) / (time.monotonic() - began)
        resident = int(Path(f"/proc/{servers.prometheus_pid}/statm").read_text().split()[1]) * 4096 / 1e6
        evaluated = groups(servers.url)
        firing = servers.query('count(ALERTS{alertname="FloeTargetUnhealthy", alertstate="firing"})')
    [fired] = [int(each["value"][1]) for each in firing]
    evaluating = sum(seconds / interval for _, interval, seconds in evaluated)
    slowest = max(evaluated, key=lambda each: each[2] / each[1])
    yield Row(
        "alert rules, share of their intervals spent",
        f"{evaluating:.0%}",
        "<= 25%",
        evaluating <= 0.25,
        f"{count} targets by 2 monitors, {fired} alerts fire; slowest group {slowest[0]}: {slowest[2]:.2f} s",
    )
    yield Row(
        "Prometheus, scrapes and rules together",
        f"{share:.0%}",
        "",
        None,
        f"of a core; {resident:.0f} MB",
    )


if __name__ == "__main__":
    show(list(rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
