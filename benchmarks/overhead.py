"""What a probe costs beyond the bare driver call, and what the monitor's own share of it is."""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from typing import TYPE_CHECKING

from benchmarks.daemons import daemon
from benchmarks.report import Row
from floe_monitor.domain.targets import build_targets
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool
from floe_monitor.registry.discovery import discover
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

THREADS = 4
ROUND_SECONDS = 3.0
ROUNDS = 5


def _bare(seconds: float) -> float:
    """Connections per second of plain threads."""
    import duckdb

    until = time.perf_counter() + seconds
    counts = [0] * THREADS

    def loop(index: int) -> None:
        while time.perf_counter() < until:
            connection = duckdb.connect(":memory:")
            connection.execute("SELECT 1").fetchone()
            connection.close()
            counts[index] += 1

    threads = [threading.Thread(target=loop, args=(index,)) for index in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - started)


async def _probes(seconds: float) -> float:
    """Probes per second through the same number of slots."""
    settings = Settings.model_validate(
        {"targets": {"dev": {"plugin": "duckdb", "connection": {"path": ":memory:"}}}}
    )
    target = build_targets(settings, discover())["dev"]
    pool = WorkerPool(THREADS, THREADS)
    runner = Runner(pool)
    until = time.perf_counter() + seconds
    count = 0

    async def loop() -> None:
        nonlocal count
        while time.perf_counter() < until:
            await runner.run(Attempt(target), await pool.acquire("duckdb"), "schedule")
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*(loop() for _ in range(THREADS)))
    rate = count / (time.perf_counter() - started)
    runner.close()
    pool.close()
    return rate


def throughput() -> Row:
    _bare(0.5)
    asyncio.run(_probes(0.5))
    ratios, bares = [], []
    for number in range(ROUNDS):
        # The order alternates: whatever slows the machine down slows both.
        if number % 2:
            probed, bare = asyncio.run(_probes(ROUND_SECONDS)), _bare(ROUND_SECONDS)
        else:
            bare, probed = _bare(ROUND_SECONDS), asyncio.run(_probes(ROUND_SECONDS))
        ratios.append(probed / bare)
        bares.append(bare)
    ratio = statistics.median(ratios)
    return Row(
        "throughput of the bare DuckDB call that probes keep",
        f"{ratio:.1%}",
        ">= 95 %",
        ratio >= 0.95,
        f"{THREADS} threads, bare: {statistics.median(bares):.0f}/s; {min(ratios):.1%} to {max(ratios):.1%}",
    )


def _cost(seconds: float, **environ: str) -> float:
    """CPU milliseconds per probe of a plugin that returns at once, with metrics, health and API on."""
    targets = "".join(f"  t{number}: {{plugin: lab}}\n" for number in range(1000))
    with daemon(f"probe: {{interval: 1s}}\ntargets:\n{targets}", **environ) as measured:
        time.sleep(5)
        cpu, count = measured.cpu, measured.total("floe_compute_validation_duration_seconds_count")
        time.sleep(seconds)
        spent = measured.cpu - cpu
        done = measured.total("floe_compute_validation_duration_seconds_count") - count
    return spent / done * 1000


def own_cost() -> Iterator[Row]:
    cost = _cost(10)
    yield Row(
        "own CPU per probe, Prometheus, health and API on",
        f"{cost:.2f} ms",
        "<= 0.40 ms",
        cost <= 0.40,
        "1,000 probes/s of a plugin that returns at once; a page a measurement included",
    )
    with _collector() as endpoint:
        cost = _cost(10, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)
    yield Row(
        "the same with OTLP metrics and traces on",
        f"{cost:.2f} ms",
        "<= 0.70 ms",
        cost <= 0.70,
        "every span exported over HTTP to a receiver that answers at once",
    )


class _collector:  # noqa: N801 - reads as a function
    """An OTLP receiver over HTTP that takes everything and keeps nothing, in a process of its own."""

    def __enter__(self) -> str:
        import subprocess
        import sys

        code = (
            "import http.server\n"
            "class H(http.server.BaseHTTPRequestHandler):\n"
            "    protocol_version = 'HTTP/1.1'\n"
            "    def do_POST(self):\n"
            "        self.rfile.read(int(self.headers.get('Content-Length', 0)))\n"
            "        self.send_response(200)\n"
            "        self.send_header('Content-Type', 'application/x-protobuf')\n"
            "        self.send_header('Content-Length', '0')\n"
            "        self.end_headers()\n"
            "    def log_message(self, *args): pass\n"
            "server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), H)\n"
            "print(server.server_port, flush=True)\n"
            "server.serve_forever()\n"
        )
        self._process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        return f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(5)


def rows() -> Iterator[Row]:
    yield throughput()
    yield from own_cost()
