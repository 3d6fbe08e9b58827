"""A daemon process seen from outside: its page of metrics, and what the kernel counts of it (Linux)."""

from __future__ import annotations

import os
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = os.sysconf("SC_PAGE_SIZE")
_LAG = "floe_monitor_schedule_lag_seconds_bucket"


@dataclass(frozen=True, slots=True)
class Sample:
    """`at` and `memory` in seconds since the start and in MiB; daemon and children together, all but `lag`:
    ticks so far by upper bound of their lag in seconds."""

    at: float
    memory: float
    threads: int
    descriptors: int
    children: int
    stuck: int
    skipped: dict[str, float]
    lag: dict[float, float]


def sample(pid: int, url: str, started: float) -> Sample:
    # The kernel may list a child under two threads while it comes or goes.
    family = set(_family(pid))
    values = scrape(url)
    return Sample(
        at=time.monotonic() - started,
        memory=sum(_memory(each) for each in family) / 2**20,
        threads=sum(_entries(each, "task") for each in family),
        descriptors=sum(_entries(each, "fd") for each in family),
        children=len(family) - 1,
        stuck=int(sum(of(values, "floe_monitor_workers_stuck").values())),
        skipped=of(values, "floe_monitor_probes_skipped_total"),
        lag={float(_label(series, "le")): value for series, value in of(values, _LAG).items()},
    )


def scrape(url: str) -> dict[str, float]:
    """Series to value."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        lines = [line for line in answer.read().decode().splitlines() if line and not line.startswith("#")]
    return {series: float(value) for series, _, value in (line.rpartition(" ") for line in lines)}


def of(values: dict[str, float], name: str) -> dict[str, float]:
    return {series: value for series, value in values.items() if series.partition("{")[0] == name}


def lag_within(first: Sample, last: Sample, share: float = 0.99) -> float:
    """The bucket's bound, in seconds, under which this share of the ticks between the two began."""
    ticks = {bound: count - first.lag.get(bound, 0) for bound, count in last.lag.items()}
    total = max(ticks.values(), default=0)
    return min((bound for bound, count in ticks.items() if count >= share * total), default=float("inf"))


def thirds(values: list[float]) -> tuple[float, float]:
    """The medians of the first third and of the last."""
    size = max(1, len(values) // 3)
    return median(values[:size]), median(values[-size:])


def _label(series: str, name: str) -> str:
    return series.split(f'{name}="', 1)[1].split('"', 1)[0]


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        threads = [listed.name for listed in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # the process has ended
        return
    for thread in threads:
        try:
            children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
        except OSError:  # the thread has ended
            continue
        for child in children:
            yield from _family(int(child))


def _memory(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except OSError:  # it has ended
        return 0


def _entries(pid: int, name: str) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/{name}").iterdir())
    except OSError:
        return 0
