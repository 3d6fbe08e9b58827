"""Sessions kept between validations, for targets that ask for it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from floe_monitor_postgres.wire import Session

LIMIT = 256
"""Sessions kept at most, over all targets; the one unused longest gives way."""


@dataclass(slots=True)
class Kept:
    session: Session
    born: float
    max_age: float
    idle_until: float = 0.0
    """On `time.monotonic`'s clock, like `born`."""


class KeptSessions:
    """At most one session per key, each with one user at a time; safe to call from any thread.

    A daemon thread closes what has idled too long. It lives only while something is kept.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._changed = threading.Condition()
        self._kept: dict[Hashable, Kept] = {}
        self._reaper: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: Hashable) -> Kept | None:
        """The key's session, now the caller's alone; None where there is none fit for use."""
        now = time.monotonic()
        with self._changed:
            kept = self._kept.pop(key, None)
        if kept is None:
            return None
        if now < kept.idle_until and now < kept.born + kept.max_age and kept.session.usable:
            return kept
        kept.session.close()
        return None

    def keep(self, key: Hashable, kept: Kept, idle_seconds: float) -> None:
        """Give a session back, or in; closes the one it replaces."""
        kept.idle_until = min(time.monotonic() + idle_seconds, kept.born + kept.max_age)
        with self._changed:
            dropped = [self._kept.pop(key)] if key in self._kept else []
            if len(self._kept) >= self._limit:
                oldest = min(self._kept, key=lambda other: self._kept[other].idle_until)
                dropped.append(self._kept.pop(oldest))
            self._kept[key] = kept
            if self._reaper is None:
                self._reaper = threading.Thread(target=self._reap, name="postgres-idle", daemon=True)
                self._reaper.start()
            self._changed.notify()
        for other in dropped:
            other.session.close()

    def close(self) -> None:
        with self._changed:
            dropped = list(self._kept.values())
            self._kept.clear()
            self._changed.notify()
        for kept in dropped:
            kept.session.close()

    def _reap(self) -> None:
        with self._changed:
            while self._kept:
                now = time.monotonic()
                for key in [key for key, kept in self._kept.items() if kept.idle_until <= now]:
                    # A close sends one packet and never waits.
                    self._kept.pop(key).session.close()
                nearest = min((kept.idle_until for kept in self._kept.values()), default=now)
                if self._kept:
                    self._changed.wait(max(0.0, nearest - now))
            self._reaper = None
