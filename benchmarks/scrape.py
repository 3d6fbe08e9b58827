"""What one scrape of many targets costs, beside joining strings that are ready, and what it does to the loop.

.venv/bin/python -m benchmarks scrape
"""

from __future__ import annotations

import asyncio
import gc
import resource
import statistics
import sys
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from benchmarks.report import Row, show
from floe_monitor.compute.models import CheckResult, ComputeConfig, ConnectionStatus, Expiry, ExpiryKind
from floe_monitor.domain.events import ProbeResult
from floe_monitor.domain.expiry import ExpiryLead, watched
from floe_monitor.domain.health import Health, HealthStatus, Thresholds
from floe_monitor.domain.probe_policy import ProbePolicy
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.domain.targets import Target
from floe_monitor.settings.models import TargetSettings
from floe_monitor.telemetry.exposition import MetricsPage
from floe_monitor.telemetry.prometheus import PrometheusSink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROUNDS = 7
LIMIT_MS = 105.0
"""Of a scrape of ten thousand targets."""


class Plugin:
    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:  # noqa: ARG002
        return {"type": "duckdb"}


def build(count: int) -> MonitorState:
    state = MonitorState(started_at=0.0, config=ConfigStatus(time.time(), time.time()))
    entry = cast("Any", SimpleNamespace(plugin=Plugin()))
    policy = ProbePolicy(30.0, 5.0, Thresholds(), "thread")
    for number in range(count):
        name = f"warehouse-{number:05d}"
        settings = TargetSettings.model_construct(plugin="duckdb", labels={"team": "core"})
        target = Target(name, entry, settings, policy, "", ComputeConfig(plugin="duckdb"))
        state.targets[name] = TargetSnapshot(target)
    refresh(state)
    return state


def refresh(state: MonitorState, changes: int = 1) -> None:
    """A new result for every target; with another count of changes a new verdict too."""
    now = time.time()
    healthy = ConnectionStatus.HEALTHY
    checks = (CheckResult("connect", healthy, 8.0), CheckResult("query", healthy, 1.0))
    learned = [Expiry(ExpiryKind.SERVER_CERTIFICATE, 2e9, "the certificate of db.example.com")]
    for name, snapshot in state.targets.items():
        result = ProbeResult(name, "duckdb", healthy, 0.0123456789, now, "c0ffee", checks=checks)
        result = replace(result, server_address="db.example.com", expiries=watched(learned, ExpiryLead()))
        health = Health(HealthStatus.HEALTHY, now, 0, 5, changes)
        state.targets[name] = snapshot.after(result, health, 0, time.monotonic())


def cpu_ms(run: Callable[[], object]) -> float:
    gc.collect()
    began = time.thread_time()
    run()
    return (time.thread_time() - began) * 1000


async def lag_ms(work: Callable[[], object]) -> float:
    """The latest a 1 ms timer of the loop fired while `work` ran in a thread."""
    task = asyncio.create_task(asyncio.to_thread(work))
    worst = 0.0
    while not task.done():
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        worst = max(worst, time.perf_counter() - began - 0.001)
    await task
    return worst * 1000


def rows(count: int = 10_000) -> Iterator[Row]:
    state = build(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    page = MetricsPage(state, PrometheusSink(), "bench")
    body, _ = page.render(openmetrics=True)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    lines = [line for line in body.decode().splitlines() if "target=" in line]
    # Baselines: labels ready, each value formatted, all joined, as any exporter must; then the join alone.
    parts = [line.rpartition(" ") for line in lines]
    labelled = [(head, float(value)) for head, _, value in parts]
    ready = [line + "\n" for line in lines]

    def formatted() -> bytes:
        return "".join([f"{head} {value}\n" for head, value in labelled]).encode()

    def joined() -> bytes:
        return "".join(ready).encode()

    def render() -> object:
        return page.render(openmetrics=True)

    rounds = []
    for number in range(ROUNDS):  # in turns, so that a busy neighbour hurts all alike
        refresh(state)
        times = [cpu_ms(run) for run in (render, formatted, render, joined)]
        refresh(state, changes=2 + number % 2)
        judged = cpu_ms(render)
        refresh(state)
        render()
        rounds.append((*times, judged))
    fresh_ms, format_ms, same_ms, join_ms, judged_ms = (
        statistics.median(column) for column in zip(*rounds, strict=True)
    )
    lags = []
    for _ in range(ROUNDS):
        refresh(state)
        lags.append(asyncio.run(lag_ms(render)))
    allowed = LIMIT_MS * count / 10_000
    size = f"{count} targets, {len(lines)} series, {len(body) / 1e6:.1f} MB"
    yield Row(
        "CPU of a scrape, every target with a new result",
        f"{fresh_ms:.0f} ms",
        f"<= {allowed:.0f} ms",
        fresh_ms <= allowed,
        f"{size}; joining values into prebuilt labels {format_ms:.0f} ms",
    )
    yield Row(
        "CPU of a scrape, no target with a new result",
        f"{same_ms:.0f} ms",
        f"<= {allowed:.0f} ms",
        same_ms <= allowed,
        f"the bare join of finished lines {join_ms:.0f} ms",
    )
    yield Row(
        "CPU of a scrape, every target with a new verdict",
        f"{judged_ms / format_ms:.2f}x",
        "<= 3x",
        judged_ms <= 3 * format_ms,
        f"{judged_ms:.0f} ms: what an outage of everything costs once",
    )
    lag = statistics.median(lags)
    yield Row(
        "event loop's latest timer during a scrape", f"{lag:.1f} ms", "< 100 ms", lag < 100, "in a thread"
    )
    yield Row("memory for the page and what it keeps", f"{memory:.0f} MB", "", None, "part of the 250 MB")


if __name__ == "__main__":
    show(list(rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)))
