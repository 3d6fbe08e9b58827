"""What the sizing table of docs/operations.md says: CPU, memory and series of a monitor, from a sidecar to a
hundred thousand targets on shards, of which one is measured, as they are alike.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
"""Two intervals."""
LONGEST_START = 600.0


@dataclass(frozen=True, slots=True)
class Size:
    targets: int
    shards: int = 1
    target: str = "{plugin: lab}"

    @property
    def configuration(self) -> str:
        shard = f"shard: {{index: 0, count: {self.shards}}}\n" if self.shards > 1 else ""
        named = "".join(f"  target-{number:06d}: {self.target}\n" for number in range(self.targets))
        return f"probe: {{interval: 30s}}\n{shard}targets:\n{named}"

    def __str__(self) -> str:
        engine = "" if "lab" in self.target else " of DuckDB"
        of = f" on one of {self.shards} shards" if self.shards > 1 else ""
        return f"{self.targets:,} targets{engine} every 30 s{of}"


SIZES = (
    Size(10, target="{plugin: duckdb, connection: {path: ':memory:'}}"),
    Size(1_000),
    Size(10_000),
    Size(100_000, shards=50),
    Size(100_000, shards=10),
)


def rows() -> Iterator[Row]:
    for size in SIZES:
        began = time.perf_counter()
        with daemon(size.configuration) as measured:
            while measured.metrics().get("floe_monitor_ready") != 1:
                if time.perf_counter() - began > LONGEST_START:
                    raise SystemExit(f"{size}: not ready in {LONGEST_START:g} s")
                time.sleep(1)
            ready = time.perf_counter() - began
            before, began = measured.cpu, time.perf_counter()
            time.sleep(SECONDS)
            share = (measured.cpu - before) / (time.perf_counter() - began)
            page = measured.metrics()
            watched = sum(series.startswith("floe_compute_target_status{") for series in page)
            megabytes = measured.megabytes
        yield Row(
            str(size),
            f"{megabytes:.0f} MB",
            "< 400 MB",
            megabytes < 400,
            f"{watched:,} watched, {share:.3f} of a core, {len(page):,} series, ready after {ready:.0f} s",
        )
