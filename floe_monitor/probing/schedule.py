"""When targets are probed: arithmetic alone. All times are seconds on one monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import blake2b

FIRST_ROUND_RATE = 500.0
"""First probes started per second: one target starts at once, ten thousand within twenty seconds."""


def fraction(name: str, salt: str = "") -> float:
    """A target's place in its interval, in [0, 1): stable for a name, spread evenly over names.

    `salt` (the host's name) keeps the replicas of one configuration from probing at the same instant.
    """
    digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=7, salt=_salt(salt)).digest()
    return int.from_bytes(digest, "big") / (1 << 56)


def _salt(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


@dataclass(frozen=True, slots=True)
class Timetable:
    """The ticks of one target: `origin + (k + fraction) * interval` for every whole k."""

    origin: float
    interval: float
    fraction: float

    def next_after(self, moment: float) -> float:
        """The first tick later than `moment`."""
        turns = (moment - self.origin) / self.interval - self.fraction
        turn = math.floor(turns) + 1
        tick = self.origin + (turn + self.fraction) * self.interval
        # Rounding may land on `moment` itself; a tick returned twice would probe twice.
        while tick <= moment:
            turn += 1
            tick = self.origin + (turn + self.fraction) * self.interval
        return tick

    def missed(self, due: float, now: float) -> int:
        """How many ticks after the one at `due` have passed by `now`."""
        return max(0, math.floor((now - due) / self.interval))

    def after_first(self, first: float) -> float:
        """The tick that follows a first probe at `first`: at least half an interval later, then in phase."""
        return self.next_after(first + self.interval / 2)


def first_delay(place: float, interval: float, targets: int) -> float:
    """How long a new target waits for its first probe: spread over as little time as their number allows."""
    return place * min(interval, targets / FIRST_ROUND_RATE)
