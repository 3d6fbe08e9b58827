"""Whether the monitor itself is cut off: not one of the targets that it watches over the network is reached.

The verdicts of targets stay what they are, for from here they cannot be worked with. What this adds is that
the reason is one, and the monitor's own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from floe_monitor.domain.events import ProbeResult

NETWORK_CHECK = "network"
"""The check by which every plugin that speaks to a server says whether it got there."""

FEWEST_TARGETS = 3
FEWEST_ADDRESSES = 2
"""Fewer say as much of the engines as of the monitor."""

DOUBT_SECONDS = 45.0
"""How long a failure leaves open whether others will fail too: the usual interval, timeout and a scrape."""


class Connectivity(IntEnum):
    """The numbers are those of the exported gauge."""

    NOT_JUDGED = 0
    REACHED = 1
    IN_DOUBT = 2
    LOST = 3


def is_reached(result: ProbeResult) -> bool | None:
    """By its network check; None where it has none, or came to it no more."""
    for check in result.checks:
        if check.name == NETWORK_CHECK:
            return check.status is not ConnectionStatus.UNHEALTHY
    return None


@dataclass(frozen=True, slots=True)
class Reach:
    """Of the targets whose last result has a network check. `doubted_since`, by `time.monotonic`: since a
    target that was reached is not, while no result has reached any since."""

    targets: int = 0
    addresses: int = 0
    unreached: int = 0
    doubted_since: float | None = None
    complete: bool = False
    """Every target has had a result."""

    def judged(self, now: float) -> Connectivity:
        if self.is_lost:
            return Connectivity.LOST
        if self.doubted_since is not None and now - self.doubted_since < DOUBT_SECONDS and self._is_open:
            return Connectivity.IN_DOUBT
        return Connectivity.REACHED if self._is_enough else Connectivity.NOT_JUDGED

    @property
    def is_lost(self) -> bool:
        return self.complete and self._is_enough and self.unreached == self.targets

    @property
    def _is_enough(self) -> bool:
        return self.targets >= FEWEST_TARGETS and self.addresses >= FEWEST_ADDRESSES

    @property
    def _is_open(self) -> bool:
        """In the first round nobody knows yet how many there will be."""
        return self._is_enough or not self.complete


class ReachJudge:
    """Keeps the count, at a constant cost for each result."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[bool, str]] = {}
        """Whether the target was reached, and its server."""
        self._counted: Counter[str] = Counter()
        self._unreached = 0
        self._doubted_since: float | None = None

    def apply(self, kept: AbstractSet[str]) -> None:
        """After a change of the configuration: what was removed or begins anew says nothing any more."""
        for name in [each for each in self._last if each not in kept]:
            self._forget(name)
        if not self._unreached:
            self._doubted_since = None

    def note(self, result: ProbeResult, address: str, now: float) -> None:
        reached, name = is_reached(result), result.target
        was_unreached = name in self._last and not self._last[name][0]
        self._forget(name)
        if reached is not None:
            self._last[name] = reached, address
            self._counted[address] += 1
            self._unreached += not reached
        if reached or not self._unreached:
            self._doubted_since = None
        elif reached is False and not was_unreached and self._doubted_since is None:
            self._doubted_since = now

    def reach(self, *, complete: bool) -> Reach:
        return Reach(len(self._last), len(self._counted), self._unreached, self._doubted_since, complete)

    def _forget(self, name: str) -> None:
        if name not in self._last:
            return
        reached, address = self._last.pop(name)
        self._counted[address] -= 1
        if not self._counted[address]:
            del self._counted[address]
        self._unreached -= not reached
