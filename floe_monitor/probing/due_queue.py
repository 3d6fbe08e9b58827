"""Which target is due when: targets on the schedule, and the heap of their next ticks."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.probing.schedule import Timetable

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.probing.runner import Attempt

SUPERSEDED_KEPT = 64
"""Superseded entries that the heap may hold beyond those that count, before it is made anew."""


@dataclass(slots=True, eq=False)
class Watched:
    """A target on the schedule. Replaced whole when its configuration changes.

    `timetable` is the one in force: `usual`, or `failing` while the target is not well; both are the same
    where no interval of its own is configured for that.
    """

    target: Target
    usual: Timetable
    failing: Timetable
    timetable: Timetable
    since: float
    attempt: Attempt | None = None
    waiting_for_slot: bool = False
    result: asyncio.Future[ProbeResult] | None = None
    task: asyncio.Task[None] | None = None
    entry: int = -1
    """The heap's entry that counts."""

    @classmethod
    def begin(cls, target: Target, origin: float, place: float, now: float) -> Watched:
        policy = target.policy
        usual = failing = Timetable(origin, policy.interval, place)
        if policy.failing_interval != policy.interval:
            failing = Timetable(origin, policy.failing_interval, place)
        return cls(target, usual, failing, usual, now)

    @property
    def stuck(self) -> bool:
        return self.attempt is not None and self.attempt.overdue_since is not None

    def change_pace(self, status: HealthStatus, result: ConnectionStatus, now: float) -> float | None:
        """The next tick where the timetable changes: while status or result is not healthy the other holds.

        At least half of the shorter interval from now, so that the change brings no two probes at once.
        """
        well = status is HealthStatus.HEALTHY and result is ConnectionStatus.HEALTHY
        table = self.usual if well else self.failing
        if table is self.timetable:
            return None
        self.timetable = table
        return table.next_after(now + min(self.usual.interval, self.failing.interval) / 2)


class DueQueue:
    """One entry counts for each target, the last one; superseded ones are dropped when their time comes."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Watched]] = []
        self._numbers = itertools.count()
        self._superseded = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, watched: Watched, due: float) -> None:
        if watched.entry >= 0:
            self._superseded += 1
        watched.entry = next(self._numbers)
        heapq.heappush(self._entries, (due, watched.entry, watched))
        if self._superseded > SUPERSEDED_KEPT + len(self._entries) // 2:
            self.keep(lambda _: True)

    def keep(self, wanted: Callable[[Watched], bool]) -> None:
        """Only the entries of those wanted, and of these only what counts."""
        self._entries = [each for each in self._entries if each[1] == each[2].entry and wanted(each[2])]
        self._superseded = 0
        heapq.heapify(self._entries)

    def due(self, now: float) -> Iterator[tuple[float, Watched]]:
        """Whose time has come, in order of their times; whoever takes one puts its next tick."""
        while self._entries and self._entries[0][0] <= now:
            at, number, watched = heapq.heappop(self._entries)
            if number == watched.entry:
                watched.entry = -1
                yield at, watched
            else:
                self._superseded -= 1

    def pause(self, now: float, longest: float) -> float:
        """How long nothing is due."""
        return min(self._entries[0][0] - now, longest) if self._entries else longest
