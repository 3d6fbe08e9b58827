"""How often a client may ask: a token bucket for each, in a table that never grows beyond its size."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

MOST_CLIENTS = 4_096
"""Some 1 MB. Of more, the one not seen for longest begins anew."""


class RateLimit:
    """For the event loop's thread only."""

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        most: int = MOST_CLIENTS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second, self._burst, self._most, self._clock = per_second, burst, most, clock
        self._buckets: dict[Hashable, tuple[float, float]] = {}
        """What was left, and when; the client not seen for longest first."""

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, client: Hashable) -> int:
        """Whole seconds until the client may ask again; 0 where it may now."""
        left = self._left(client)
        return 0 if left >= 1 else math.ceil((1 - left) / self._per_second)

    def take(self, client: Hashable) -> int:
        """As `wait`; where it may, this counts as having asked."""
        wait = self.wait(client)
        if not wait:
            left = self._left(client) - 1
            self._buckets.pop(client, None)
            self._buckets[client] = left, self._clock()
            if len(self._buckets) > self._most:
                del self._buckets[next(iter(self._buckets))]
        return wait

    def _left(self, client: Hashable) -> float:
        left, at = self._buckets.get(client, (float(self._burst), self._clock()))
        return min(float(self._burst), left + (self._clock() - at) * self._per_second)
