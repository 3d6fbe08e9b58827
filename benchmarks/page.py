"""Ten thousand targets with a history, and twenty viewers: how soon page and API answer, which tick is late.

Each viewer listens to the stream of events and asks for the page whenever there is one, as the page's script
does; a few targets change all the time, so that there always is. Viewers are a process of their own.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx

from benchmarks.daemons import daemon
from benchmarks.report import Row
from benchmarks.scale import buckets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.daemons import Measured

TARGETS, VIEWERS, SECONDS = 10_000, 20, 30.0
BOUND = 0.05
PATHS = (
    "/",
    "/?group=team&past=hours",
    "/targets/target-00042",
    "/api/v1/targets?limit=50",
    "/api/v1/status",
)
CONFIGURATION = """
history: {{url: "sqlite:///history.db"}}
probe: {{interval: 30s}}
targets:
  flapping-1: {{plugin: lab, connection: {{behave: alternate}}, probe: {{interval: 1s}}}}
  flapping-2: {{plugin: lab, connection: {{behave: alternate}}, probe: {{interval: 1.5s}}}}
{targets}
"""


async def view(url: str) -> None:
    """Twenty viewers, until this process is ended."""
    seen = {"pages": 0, "unchanged": 0}
    limits = httpx.Limits(max_connections=100)
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(VIEWERS):
            tasks.start_soon(_look, client, seen)
        while True:
            await anyio.sleep(1)
            sys.stdout.write(json.dumps(seen) + "\n")
            sys.stdout.flush()


async def _look(client: httpx.AsyncClient, seen: dict[str, int]) -> None:
    etag = ""
    async with client.stream("GET", "/api/v1/events?events=summary", timeout=None) as events:
        async for line in events.aiter_lines():
            if not line.startswith("event: summary"):
                continue
            answer = await client.get("/", headers={"accept": "text/html", "if-none-match": etag})
            etag = answer.headers.get("etag", "")
            seen["pages" if answer.status_code == 200 else "unchanged"] += 1
            await anyio.sleep(1)


def _late(before: dict[float, float], after: dict[float, float]) -> float:
    counted = {edge: after[edge] - before.get(edge, 0.0) for edge in after}
    return counted[float("inf")] - counted[BOUND]


def _ask(url: str, seconds: float) -> dict[str, list[float]]:
    """How long each answer took, one after the other on one connection, apart from the viewers' process."""
    took: dict[str, list[float]] = {path: [] for path in PATHS}
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in PATHS:
            began = time.perf_counter()
            connection.request("GET", path, headers={"Accept": "text/html"})
            answer = connection.getresponse()
            answer.read()
            took[path].append(time.perf_counter() - began)
            if answer.status != 200:
                raise SystemExit(f"{path} was answered {answer.status}")
            time.sleep(0.05)
    return took


@dataclass(frozen=True, slots=True)
class Measure:
    took: dict[str, list[float]]
    late: float
    share: float
    pages: int


def _measure(measured: Measured) -> Measure:
    command = [sys.executable, "-m", "benchmarks.page", measured.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewers:
        assert viewers.stdout is not None
        time.sleep(5)
        before, cpu, began = buckets(measured.metrics()), measured.cpu, time.perf_counter()
        took = _ask(measured.url, SECONDS)
        share = (measured.cpu - cpu) / (time.perf_counter() - began)
        late = _late(before, buckets(measured.metrics()))
        viewers.terminate()
        told = viewers.stdout.read().splitlines()
    return Measure(took, late, share, json.loads(told[-1])["pages"])


def rows() -> Iterator[Row]:
    targets = "\n".join(
        f"  target-{number:05d}: {{plugin: lab, labels: {{team: t{number % 12}}}}}"
        for number in range(TARGETS)
    )
    with daemon(CONFIGURATION.format(targets=targets)) as measured:
        time.sleep(35)  # the first round, spread over twenty seconds
        quiet = buckets(measured.metrics())
        time.sleep(SECONDS)
        late_before = _late(quiet, buckets(measured.metrics()))
        cpu, began = measured.cpu, time.perf_counter()
        time.sleep(10)
        idle = (measured.cpu - cpu) / (time.perf_counter() - began)
        found = _measure(measured)
        megabytes = measured.megabytes
    for path, seconds in found.took.items():
        seconds.sort()
        p50, p95 = (seconds[int(len(seconds) * part)] for part in (0.5, 0.95))
        yield Row(
            f"10,000 targets, 20 viewers: GET {path}"[:58],
            f"{p95 * 1000:.0f} ms",
            "p95 <= 50 ms",
            p95 <= BOUND,
            f"median {p50 * 1000:.0f} ms, longest {seconds[-1] * 1000:.0f} ms of {len(seconds)}",
        )
    yield Row(
        "ticks later than 50 ms meanwhile",
        f"{found.late:.0f}",
        "0",
        found.late == 0,
        f"{late_before:.0f} without viewers; {found.pages} pages; {found.share:.0%} of a core, "
        f"{idle:.0%} without; {megabytes:.0f} MB",
    )


if __name__ == "__main__":
    asyncio.run(view(sys.argv[1]))
