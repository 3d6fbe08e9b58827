"""Bounds how often one kind of line is written, whatever repeats: a client's requests, or a failure."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

BURST = 10
"""Lines of a kind within `WINDOW_SECONDS`; what comes beyond is counted."""
WINDOW_SECONDS = 60.0
_KINDS = 1_000


@dataclass(slots=True)
class _Kind:
    since: float
    written: int = 0
    withheld: int = 0


class RateLimit:
    """Asked before each line is written; from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[Hashable, _Kind] = {}

    def admit(self, kind: Hashable) -> int | None:
        """None where the line is not to be written, else how many of its kind were not before it."""
        now = self._clock()
        with self._lock:
            known = self._kinds.get(kind)
            if known is None or now - known.since >= WINDOW_SECONDS:
                withheld = known.withheld if known is not None else 0
                self._kinds.pop(kind, None)
                self._kinds[kind] = _Kind(now, written=1)
                if len(self._kinds) > _KINDS:
                    del self._kinds[next(iter(self._kinds))]
                return withheld
            if known.written < BURST:
                known.written += 1
                return 0
            known.withheld += 1
            return None
