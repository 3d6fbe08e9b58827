"""Ten thousand targets in one daemon: ticks on time, memory, and a scrape that delays none of them."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = 10_000
LAG = "floe_monitor_schedule_lag_seconds_bucket"


def buckets(page: dict[str, float]) -> dict[float, float]:
    found = {}
    for series, value in page.items():
        if series.startswith(LAG):
            match = re.search(r'le="([^"]+)"', series)
            assert match is not None
            found[float(match.group(1))] = value
    return found


def _share_within(before: dict[float, float], after: dict[float, float], bound: float) -> float:
    counted = {edge: after[edge] - before.get(edge, 0.0) for edge in after}
    return counted[bound] / counted[float("inf")]


def rows() -> Iterator[Row]:
    targets = "".join(f"  target-{number:05d}: {{plugin: lab}}\n" for number in range(TARGETS))
    with daemon(f"probe: {{interval: 30s}}\ntargets:\n{targets}") as measured:
        time.sleep(30)  # the first round, spread over twenty seconds
        before = buckets(measured.metrics())
        time.sleep(20)
        quiet = buckets(measured.metrics())
        for _ in range(10):
            started = time.perf_counter()
            measured.metrics()
            time.sleep(max(0.0, 2 - (time.perf_counter() - started)))
        scraped = buckets(measured.metrics())
        megabytes = measured.megabytes
    share = _share_within(before, quiet, 0.1)
    yield Row(
        "10,000 targets: ticks that start within 100 ms",
        f"{share:.2%}",
        ">= 99 %",
        share >= 0.99,
        "the daemon's own lag histogram over 20 s at 333 probes/s",
    )
    share = _share_within(quiet, scraped, 0.1)
    yield Row(
        "the same while scraped every two seconds",
        f"{share:.2%}",
        ">= 99 %",
        share >= 0.99,
        "ten scrapes of the whole page",
    )
    yield Row(
        "resident memory with 10,000 targets",
        f"{megabytes:.0f} MB",
        "< 250 MB",
        megabytes < 250,
        "after two rounds",
    )
