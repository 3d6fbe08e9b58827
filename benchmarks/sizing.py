"""What the sizing table of docs/operations.md says: CPU, memory and series of a monitor, from ten targets to
a hundred thousand on shards, of which one is measured, as they are alike.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = ((10, 1), (1_000, 1), (10_000, 1), (100_000, 10), (100_000, 50))
"""Targets, and the shards that they are divided between."""
SECONDS = 60.0
"""Two intervals."""
LONGEST_START = 300.0


def _configuration(targets: int, shards: int) -> str:
    shard = f"shard: {{index: 0, count: {shards}}}\n" if shards > 1 else ""
    named = "".join(f"  target-{number:06d}: {{plugin: lab}}\n" for number in range(targets))
    return f"probe: {{interval: 30s}}\n{shard}targets:\n{named}"


def rows() -> Iterator[Row]:
    for targets, shards in SIZES:
        began = time.perf_counter()
        with daemon(_configuration(targets, shards)) as measured:
            while measured.metrics().get("floe_monitor_ready") != 1:
                if time.perf_counter() - began > LONGEST_START:
                    raise SystemExit(f"{targets} targets: not ready in {LONGEST_START:g} s")
                time.sleep(1)
            ready = time.perf_counter() - began
            before, began = measured.cpu, time.perf_counter()
            time.sleep(SECONDS)
            share = (measured.cpu - before) / (time.perf_counter() - began)
            page = measured.metrics()
            watched = sum(series.startswith("floe_compute_target_status{") for series in page)
            megabytes = measured.megabytes
        of = f" on one of {shards} shards" if shards > 1 else ""
        yield Row(
            f"{targets:,} targets every 30 s{of}",
            f"{megabytes:.0f} MB",
            "< 400 MB",
            megabytes < 400,
            f"{watched:,} watched, {share:.3f} of a core, {len(page):,} series, ready after {ready:.0f} s",
        )
