"""Connections kept between validations, for the targets that ask for it with `connection_reuse`.

`reusing` is the whole flow of one validation: take a kept connection, look its name up again, prove it or
open a new one, examine the target with it, and give it back or close it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from pydantic import Field

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.compute.evidence import Noted, noted, repeat
from floe_monitor.compute.models import ComputeConfig
from floe_monitor.compute.toolkit.endpoints import still_lead_there

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable

    from floe_monitor.compute.checks import Validation
    from floe_monitor.compute.deadline import Deadline
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.endpoints import Endpoint

LIMIT = 256
"""Connections kept at most, over all targets of a plugin; the one unused longest gives way."""
PROVING_SHARE = 1 / 3
"""Share of a validation's time that a kept connection gets to prove itself; the rest is for a new one."""
CLOSING_SECONDS = 1.0
"""How long a plugin's shutdown waits for kept connections to be closed in good order."""
HOLDS = "holds since the kept connection was made"
"""Message of the checks that a kept connection answers by being there: their series come and go with none."""


class ReusingConfig(ComputeConfig):
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
    """What the cache needs of a connection."""

    @property
    def usable(self) -> bool:
        """Whether it may be tried again; False once it is known to be broken. Must not wait."""

    def close(self) -> None:
        """Ends it, within about a second whatever the server does. Called on a thread of its own."""


class Reusable(Closable, Protocol):
    """What `reusing` needs of one besides."""

    @property
    def endpoints(self) -> Iterable[Endpoint]:
        """Where it leads, as dialled: the proxy where one is in between."""

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether it still serves, and is as a fresh one. Waits until `proving` ends; an exception is a no.

        After True its further waits end at `deadline`.
        """

    def rest(self) -> bool:
        """Bring back the state of a fresh one after a validation; False where it is not to be kept."""


_C = TypeVar("_C", bound=Closable)
_R = TypeVar("_R", bound=Reusable)


@dataclass(slots=True)
class CachedConnection(Generic[_C]):
    """A connection and how long it may be used, on `time.monotonic`'s clock."""

    connection: _C
    born: float
    max_age: float
    idle_until: float = 0.0
    learned: Noted = field(default_factory=Noted)
    """What making it has shown, which holds as long as it is used."""

    @classmethod
    def new(cls, connection: _C, config: ReusingConfig) -> CachedConnection[_C]:
        """Just made, by the validation under way."""
        return cls(connection, time.monotonic(), config.connection_max_age_seconds, learned=noted())


class ConnectionCache(Generic[_C]):
    """At most one connection per key, each with one user at a time; safe to call from any thread.

    The key must differ wherever anything that proves the connection differs, credentials included. A daemon
    thread closes what has idled too long or is not wanted any more, so that no validation pays for it; it
    lives only while there is something to do.
    """

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._changed = threading.Condition()
        self._kept: dict[Hashable, CachedConnection[_C]] = {}
        self._unwanted: list[_C] = []
        self._closing = 0
        self._reaper: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, key: Hashable) -> CachedConnection[_C] | None:
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

    def keep(self, key: Hashable, kept: CachedConnection[_C], idle_seconds: float) -> None:
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
        """Close it on the cache's own thread."""
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


def _taken(
    cache: ConnectionCache[_R], key: Hashable, calls: BlockingCalls, deadline: Deadline
) -> CachedConnection[_R] | None:
    """The kept connection, where it leads to where a new one would, and still serves."""
    kept = cache.take(key)
    if kept is None:
        return None
    serves = False
    try:
        proving = deadline.share(PROVING_SHARE)
        serves = still_lead_there(kept.connection.endpoints, calls, proving) and _proves(
            kept.connection, proving, deadline
        )
    finally:
        if not serves:
            cache.discard(kept.connection)
    return kept if serves else None


def _proves(connection: Reusable, proving: Deadline, deadline: Deadline) -> bool:
    """What a driver raises here says that the connection is of no use; a new one will say why."""
    try:
        return connection.prove(proving, deadline)
    except Exception as error:
        shortage = resource_error_in(error)
        if shortage is not None:
            raise shortage from error
        return False


def reusing(
    cache: ConnectionCache[_R],
    key: Hashable,
    config: ReusingConfig,
    validation: Validation,
    deadline: Deadline,
    *,
    calls: BlockingCalls,
    held: Iterable[str],
    connect: Callable[[], _R],
    examine: Callable[[_R], None],
) -> None:
    """Examine the target with a kept connection, or with the one that `connect` makes, and keep or close it.

    `held` names the checks that a kept connection answers by being there: they are recorded for it, since a
    series that comes and goes shows nothing. `calls` look up the names of a kept connection. Raises what
    `connect` and `examine` raise; the connection is closed then.
    """
    kept = _taken(cache, key, calls, deadline) if config.connection_reuse else None
    if kept is None:
        kept = CachedConnection.new(connect(), config)
    else:
        repeat(kept.learned)
        for name in held:
            with validation.check(name) as check:
                check.message = HOLDS
    keeping = False
    try:
        examine(kept.connection)
        keeping = config.connection_reuse and kept.connection.rest()
    finally:
        if keeping:
            cache.keep(key, kept, config.connection_idle_seconds)
        else:
            kept.connection.close()
