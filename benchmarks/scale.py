"""Ten thousand targets in one daemon: ticks on time, memory, and a scrape a second that delays none of them,
with and without an export by OTLP."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

from benchmarks.collector import collector
from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.daemons import Measured

TARGETS, SECONDS = 10_000, 30
BOUND = 0.05
LAG = "floe_monitor_schedule_lag_seconds_bucket"


def buckets(page: dict[str, float]) -> dict[float, float]:
    found = {}
    for series, value in page.items():
        if series.startswith(LAG):
            match = re.search(r'le="([^"]+)"', series)
            assert match is not None
            found[float(match.group(1))] = value
    return found


def _ticks(before: dict[float, float], after: dict[float, float], bound: float) -> tuple[float, float]:
    """How many there were, and how many of them started later than `bound` seconds."""
    counted = {edge: after[edge] - before.get(edge, 0.0) for edge in after}
    return counted[float("inf")], counted[float("inf")] - counted[bound]


def _scrape(measured: Measured, times: int) -> None:
    """One a second, as a Prometheus that is set to that would."""
    for _ in range(times):
        started = time.perf_counter()
        measured.metrics()
        time.sleep(max(0.0, 1 - (time.perf_counter() - started)))


def rows() -> Iterator[Row]:
    targets = "".join(f"  target-{number:05d}: {{plugin: lab}}\n" for number in range(TARGETS))
    configuration = f"probe: {{interval: 30s}}\ntargets:\n{targets}"
    for exported in (False, True):
        with collector() as endpoint:
            otlp = f"otlp: {{endpoint: '{endpoint}'}}\n" if exported else ""
            with daemon(otlp + configuration) as measured:
                yield from _measured(measured, "with OTLP" if exported else "")


def _measured(measured: Measured, setting: str) -> Iterator[Row]:
    time.sleep(35)  # the first round, spread over twenty seconds
    before = buckets(measured.metrics())
    time.sleep(SECONDS)
    quiet = buckets(measured.metrics())
    _scrape(measured, SECONDS)
    scraped = buckets(measured.metrics())
    subject = f"10,000 targets{' ' + setting if setting else ''}"
    ticks, late = _ticks(before, quiet, BOUND)
    yield Row(
        f"{subject}: ticks over 50 ms late", f"{late:.0f}", "0", late == 0, f"of {ticks:.0f}, unscraped"
    )
    ticks, late = _ticks(quiet, scraped, BOUND)
    yield Row("the same, scraped every second", f"{late:.0f}", "0", late == 0, f"of {ticks:.0f}")
    megabytes = measured.megabytes
    yield Row(
        "resident memory then", f"{megabytes:.0f} MB", "< 250 MB", megabytes < 250, "after three rounds"
    )
