"""What the alert rules cost Prometheus: ten thousand targets, seen by two monitors, at the shipped intervals.

.venv/bin/python -m benchmarks rules
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, show
from benchmarks.scrape import build
from conformance.alerts.clocks import STEP, Clock
from conformance.alerts.servers import Servers, missing_programs
from conformance.loopback_server import LOOPBACK
from floe_monitor.domain.health import HealthStatus
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Iterator

JOB, ITSELF = "floe-scale", "prometheus"
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


def share(pid: int) -> float:
    """Of one core, over the time measured."""
    began, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(MEASURED)
    return (cpu_seconds(pid) - used) / (time.monotonic() - began)


def number(servers: Servers, expression: str) -> float:
    found = servers.query(expression)
    return float(found[0]["value"][1]) if found else 0.0


def rows(count: int = 10_000) -> Iterator[Row]:
    if missing := missing_programs():
        print(f"rules: not installed: {', '.join(missing)}", file=sys.stderr)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fm-rules-")))
        addresses = [stack.enter_context(monitor(count)) for _ in range(2)]
        servers = stack.enter_context(Servers(folder, Clock(), [JOB, ITSELF], STEP))
        pid = servers.prometheus_pid
        shipped = servers.replace_rules("groups: []\n")
        servers.discover(JOB, addresses)
        servers.discover(ITSELF, [servers.url.removeprefix("http://")])
        time.sleep(WARM_UP)
        scrapes = share(pid)
        servers.replace_rules(shipped)
        time.sleep(WARM_UP)
        both = share(pid)
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
        missed = number(servers, "sum(prometheus_rule_group_iterations_missed_total)")
        fired = number(servers, 'count(ALERTS{alertname="FloeTargetUnhealthy", alertstate="firing"})')
    cost = both - scrapes
    yield Row(
        "alert rules, of a core",
        f"{cost:.0%}",
        "",
        None,
        f"{count} targets by 2 monitors, {fired:.0f} alerts fire, {missed:.0f} evaluations missed; "
        f"scrapes alone {scrapes:.0%}, {resident:.0f} MB",
    )


if __name__ == "__main__":
    show(list(rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
