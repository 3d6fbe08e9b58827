"""Targets by status, counted in one pass: of ten thousand each pass costs a page a millisecond."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from floe_monitor.domain.health import HealthStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from floe_monitor.domain.state import TargetSnapshot

WORST_FIRST = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.UNKNOWN, HealthStatus.HEALTHY)
_RANKS = tuple(2 * WORST_FIRST.index(status) for status in sorted(HealthStatus))


@dataclass(frozen=True, slots=True)
class StatusSummary:
    """`ranks` has a byte for each of the snapshots, the less the worse: an even one for each status, and one
    more in maintenance, since such targets worry nobody. Of bytes counting and searching costs little."""

    snapshots: Sequence[TargetSnapshot]
    ranks: bytes

    @property
    def total(self) -> int:
        return len(self.ranks)

    def alarming(self, status: HealthStatus) -> int:
        """How many have it, without those in maintenance."""
        return self.ranks.count(_RANKS[status])

    def first_alarming(self, status: HealthStatus, most: int) -> list[TargetSnapshot]:
        return list(islice(self._of(_RANKS[status]), most))

    @property
    def counts(self) -> list[tuple[HealthStatus, int]]:
        count = self.ranks.count
        return [(status, count(_RANKS[status]) + count(_RANKS[status] + 1)) for status in WORST_FIRST]

    @property
    def in_maintenance(self) -> list[TargetSnapshot]:
        return [snapshot for rank in _RANKS for snapshot in self._of(rank + 1)]

    @property
    def worst(self) -> int:
        """Where the status of its worst target stands in `WORST_FIRST`; without a target behind them all."""
        return min(self.ranks) // 2 if self.ranks else len(WORST_FIRST)

    @property
    def changed(self) -> float:
        """The last change of a status (Unix seconds), 0 before the first."""
        return max([each.health.since for each in self.snapshots if not each.awaited], default=0.0)

    def worst_first(self, begin: int, end: int) -> list[TargetSnapshot]:
        """Those from one place to another of that order."""
        found: list[TargetSnapshot] = []
        passed = 0
        for rank in range(2 * len(WORST_FIRST)):
            count = self.ranks.count(rank)
            if passed < end and passed + count > begin:
                found += islice(self._of(rank), max(0, begin - passed), end - passed)
            passed += count
        return found

    def by_label(self, key: str, without: str) -> dict[str, StatusSummary]:
        """One for each value of the label; `without` is the name for those that do not have it."""
        names = [snapshot.target.settings.labels.get(key, without) for snapshot in self.snapshots]
        named: dict[str, list[int]] = {name: [] for name in names}
        for place, name in enumerate(names):
            named[name].append(place)
        return {name: self._part(places) for name, places in named.items()}

    def _part(self, places: list[int]) -> StatusSummary:
        snapshots, ranks = self.snapshots, self.ranks
        return StatusSummary(
            [snapshots[place] for place in places], bytes([ranks[place] for place in places])
        )

    def _of(self, rank: int) -> Iterator[TargetSnapshot]:
        place = self.ranks.find(rank)
        while place >= 0:
            yield self.snapshots[place]
            place = self.ranks.find(rank, place + 1)


def summarize(snapshots: Sequence[TargetSnapshot]) -> StatusSummary:
    ranks = [_RANKS[each.status] + (each.maintenance is not None) for each in snapshots]
    return StatusSummary(snapshots, bytes(ranks))
