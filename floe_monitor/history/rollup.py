"""Results of an hour or a day as one row: how many of each status, for how long each stood, and how slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.history.latency_sketch import LatencySketch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HOUR = 3600
DAY = 86_400
KINDS = ("healthy", "degraded", "unhealthy", "maintenance")
"""What a result counts as: its status, or maintenance, which is neither up nor down."""
_MAINTENANCE = KINDS.index("maintenance")
LONGEST_STAND = 900.0
"""Seconds that a result can stand for at most: what came after it was not watched."""


def start_of(at: float, length: int) -> int:
    return int(at // length) * length


@dataclass(slots=True)
class Rollup:
    """`counts` and `seconds` in the order of `KINDS`. `latency` has no results of maintenance."""

    counts: list[int] = field(default_factory=lambda: [0] * len(KINDS))
    seconds: list[float] = field(default_factory=lambda: [0.0] * len(KINDS))
    latency: LatencySketch = field(default_factory=LatencySketch)

    @property
    def total(self) -> int:
        """Without those of maintenance."""
        return sum(self.counts[:_MAINTENANCE])

    @property
    def uptime(self) -> float | None:
        """The share of the time watched, maintenance apart, in which dbt could work; None of no time."""
        watched = sum(self.seconds[:_MAINTENANCE])
        if watched <= 0:
            return (self.counts[0] + self.counts[1]) / self.total if self.total else None
        return (self.seconds[0] + self.seconds[1]) / watched

    def merge(self, other: Rollup) -> None:
        for index in range(len(KINDS)):
            self.counts[index] += other.counts[index]
            self.seconds[index] += other.seconds[index]
        self.latency.merge(other.latency)

    def as_row(self, target: int, start: int, monitor: int) -> dict[str, Any]:
        row: dict[str, Any] = {"target": target, "start": start, "monitor": monitor}
        for index, kind in enumerate(KINDS):
            row[kind] = self.counts[index]
            row[f"{kind}_seconds"] = round(self.seconds[index])
        row["latency"] = self.latency.to_bytes()
        return row

    @classmethod
    def of_row(cls, row: Any) -> Rollup:
        """A whole row of `hourly` or `daily`. `ValueError` where it is damaged."""
        _target, _start, _monitor, *numbers, latency = row  # by name it takes three times as long
        kinds = len(KINDS)
        return cls(numbers[:kinds], numbers[kinds:], LatencySketch.from_bytes(latency))


def merged(rollups: Iterable[Rollup]) -> Rollup:
    whole = Rollup()
    for each in rollups:
        whole.merge(each)
    return whole


class Accumulator:
    """The hours that are not over yet, by target. A result's time counts in the hour of the next one."""

    def __init__(self) -> None:
        self._hours: dict[int, dict[int, Rollup]] = {}
        self._last: dict[int, tuple[float, int]] = {}

    def add(self, target: int, at: float, status: int, duration: float, maintained: int = 0) -> None:
        """`at` in Unix seconds; `status` as `HealthStatus` has it; `duration` in seconds."""
        kind = _MAINTENANCE if maintained else status - 1
        targets = self._hours.setdefault(start_of(at, HOUR), {})
        rollup = targets.get(target)
        if rollup is None:
            rollup = targets[target] = Rollup()
        rollup.counts[kind] += 1
        if not maintained:
            rollup.latency.add(duration)
        before = self._last.get(target)
        if before is not None and at >= before[0]:
            rollup.seconds[before[1]] += min(at - before[0], LONGEST_STAND)
        self._last[target] = at, kind

    def take_before(self, hour: int) -> Iterator[tuple[int, int, Rollup]]:
        """The hours before this one, which end with it: start, target and what there was."""
        for start in sorted(each for each in self._hours if each < hour):
            for target, rollup in self._hours.pop(start).items():
                yield start, target, rollup
