"""Bounds how often a kind of line is written, whatever repeats: a client's requests, a failure, a warning."""

from __future__ import annotations

import math
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


DAY_SECONDS = 86_400.0


class Daily:
    """Asked before each line about what stays as it is for days. For one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._written: dict[tuple[str, str], tuple[float, Hashable]] = {}

    def admit(self, subject: tuple[str, str], state: Hashable) -> bool:
        """Whether a day has passed since the subject's last line, or its state is another by now."""
        now = self._clock()
        at, known = self._written.get(subject, (-math.inf, None))
        if known == state and now - at < DAY_SECONDS:
            return False
        self._written[subject] = (now, state)
        return True

    def forget(self, name: str) -> None:
        """All subjects that begin with it."""
        self._written = {subject: line for subject, line in self._written.items() if subject[0] != name}
