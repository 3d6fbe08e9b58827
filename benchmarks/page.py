"""Ten thousand targets with a history, and twenty viewers: how soon page and API answer, which tick is late.

Each viewer listens to the stream of events and asks for the page whenever there is one, as the page's script
does; a few targets change all the time, so that there always is. Viewers are a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

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


async def view(url: str, seconds: float) -> dict[str, Any]:
    """Twenty viewers, and one who measures."""
    took: dict[str, list[float]] = {path: [] for path in PATHS}
    seen = {"events": 0, "pages": 0, "unchanged": 0}
    limits = httpx.Limits(max_connections=100)
    async with (
        httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(VIEWERS):
            tasks.start_soon(_look, client, seen)
        await anyio.sleep(3)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for path in PATHS:
                began = time.perf_counter()
                answer = await client.get(path, headers={"accept": "text/html"})
                took[path].append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()
    return {"took": took, **seen}


async def _look(client: httpx.AsyncClient, seen: dict[str, int]) -> None:
    etag = ""
    async with client.stream("GET", "/api/v1/events?events=summary", timeout=None) as events:
        async for line in events.aiter_lines():
            if not line.startswith("event: summary"):
                continue
            seen["events"] += 1
            answer = await client.get("/", headers={"accept": "text/html", "if-none-match": etag})
            etag = answer.headers.get("etag", "")
            seen["pages" if answer.status_code == 200 else "unchanged"] += 1
            await anyio.sleep(1)


def _late(before: dict[float, float], after: dict[float, float]) -> float:
    counted = {edge: after[edge] - before.get(edge, 0.0) for edge in after}
    return counted[float("inf")] - counted[BOUND]


def _measure(measured: Measured) -> tuple[dict[str, Any], float, float, float]:
    before, cpu, began = buckets(measured.metrics()), measured.cpu, time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.page", measured.url, str(SECONDS)],
        capture_output=True,
        text=True,
        check=True,
    )
    share = (measured.cpu - cpu) / (time.perf_counter() - began)
    return json.loads(done.stdout), _late(before, buckets(measured.metrics())), share, measured.megabytes


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
        found, late, share, megabytes = _measure(measured)
    for path, seconds in found["took"].items():
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
        f"{late:.0f}",
        "0",
        late == 0,
        f"{late_before:.0f} before; {found['pages']} pages; {share:.0%} of a core, {megabytes:.0f} MB",
    )


if __name__ == "__main__":
    print(json.dumps(asyncio.run(view(sys.argv[1], float(sys.argv[2])))))
