"""Connections kept between validations, for the targets that ask for it with `connection_reuse`."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import Field

from floe_monitor.compute.models import ComputeConfig

if TYPE_CHECKING:
    from collections.abc import Hashable

LIMIT = 256
"""Connections kept at most, over all targets of a plugin; the one unused longest gives way."""
KEPT_SHARE = 1 / 3
"""Share of a validation's time that a kept connection gets to prove itself; the rest is for a new one."""
CLOSING_SECONDS = 1.0
"""How long a plugin's shutdown waits for kept connections to be closed in good order."""
HOLDS = "holds since the kept connection was made"
"""Message of the checks that a kept connection answers by being there: their series come and go with none."""


class KeepingConfig(ComputeConfig):
    """The keys of a target whose plugin can keep connections; the monitor alone reads them, not dbt."""

    connection_reuse: bool = Field(
        default=False, description="Keep one connection between probes; read by the monitor alone"
    )
    connection_idle_seconds: float = Field(
        default=120.0, gt=0, le=3600, description="A kept connection idle for longer is closed"
    )
    connection_max_age_seconds: float = Field(
        default=600.0, gt=0, le=86400, description="A kept connection older than this is replaced"
    )


MONITOR_ONLY = frozenset({"connection_reuse", "connection_idle_seconds", "connection_max_age_seconds"})
"""Those keys: no part of a dbt profile."""

_off = False


def turn_off() -> None:
    """Keep nothing in this process from now on: what is given back is closed."""
    global _off  # noqa: PLW0603 - it is about the process
    _off = True


class Closable(Protocol):
    @property
    def usable(self) -> bool:
        """Whether it may be tried again; False once it is known to be broken. Must not wait."""

    def close(self) -> None:
        """Ends it, within about a second whatever the server does. Called on a thread of its own."""


_C = TypeVar("_C", bound=Closable)


@dataclass(slots=True)
class Kept(Generic[_C]):
    """A connection and how long it may be used, on `time.monotonic`'s clock."""

    connection: _C
    born: float
    max_age: float
    idle_until: float = 0.0

    @classmethod
    def new(cls, connection: _C, config: KeepingConfig) -> Kept[_C]:
        return cls(connection, time.monotonic(), config.connection_max_age_seconds)


class Keeper(Generic[_C]):
    """At most one connection per key, each with one user at a time; safe to call from any thread.

    The key must differ wherever anything that proves the connection differs, credentials included. A daemon
    thread closes what has idled too long or is not wanted any more, so that no validation pays for it; it
    lives only while there is something to do.
    """

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._changed = threading.Condition()
        self._kept: dict[Hashable, Kept[_C]] = {}
        self._unwanted: list[_C] = []
        self._closing = 0
        self._reaper: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: Hashable) -> Kept[_C] | None:
        """The key's connection, now the caller's alone; None where there is none fit for use."""
        now = time.monotonic()
        with self._changed:
            kept = self._kept.pop(key, None)
            if kept is None:
                return None
            if now < kept.idle_until and now < kept.born + kept.max_age and kept.connection.usable:
                return kept
            self._drop(kept.connection)
        return None

    def keep(self, key: Hashable, kept: Kept[_C], idle_seconds: float) -> None:
        """Give a connection back, or in; closes the one it replaces."""
        kept.idle_until = min(time.monotonic() + idle_seconds, kept.born + kept.max_age)
        with self._changed:
            if key in self._kept:
                self._drop(self._kept.pop(key).connection)
            if len(self._kept) >= self._limit:
                oldest = min(self._kept, key=lambda other: self._kept[other].idle_until)
                self._drop(self._kept.pop(oldest).connection)
            if _off:
                self._drop(kept.connection)
            else:
                self._kept[key] = kept
                self._wake()

    def discard(self, connection: _C) -> None:
        """Close it, at somebody else's cost."""
        with self._changed:
            self._drop(connection)

    def close(self) -> None:
        """Close all; waits at most `CLOSING_SECONDS` for it."""
        until = time.monotonic() + CLOSING_SECONDS
        with self._changed:
            for kept in self._kept.values():
                self._drop(kept.connection)
            self._kept.clear()
            self._changed.notify_all()  # the thread may wait for one that was taken and never came back
            self._changed.wait_for(
                lambda: not self._unwanted and not self._closing, max(0.0, until - time.monotonic())
            )

    def _drop(self, connection: _C) -> None:
        self._unwanted.append(connection)
        self._wake()

    def _wake(self) -> None:
        if self._reaper is None:
            reaper = threading.Thread(target=self._reap, name=f"{self._name}-idle", daemon=True)
            with contextlib.suppress(RuntimeError):  # no thread to be had: the next to come tries again
                reaper.start()
                self._reaper = reaper
        self._changed.notify_all()

    def _reap(self) -> None:
        while True:
            with self._changed:
                self._closing = 0
                self._changed.notify_all()
                while not (unwanted := self._due()):
                    if not self._kept:
                        self._reaper = None
                        return
                    nearest = min(kept.idle_until for kept in self._kept.values())
                    self._changed.wait(max(0.0, nearest - time.monotonic()))
                self._closing = len(unwanted)
            for connection in unwanted:
                with contextlib.suppress(BaseException):  # one that cannot be closed is let go; drivers panic
                    connection.close()

    def _due(self) -> list[_C]:
        now = time.monotonic()
        for key in [key for key, kept in self._kept.items() if kept.idle_until <= now]:
            self._unwanted.append(self._kept.pop(key).connection)
        found, self._unwanted = self._unwanted, []
        return found
