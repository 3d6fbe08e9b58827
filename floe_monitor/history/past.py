"""The past for the pages: read in a thread, a moment ahead of who asks, and kept for a minute.

A page is never late for it. What is not read yet when it is rendered is there the next time; a database that
does not answer costs the pages their past, and nothing else.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread

from floe_monitor.domain.uptime import Strip
from floe_monitor.history import past_queries
from floe_monitor.history.errors import HistoryUnavailableError
from floe_monitor.history.reader import open_history

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from floe_monitor.domain.uptime import Period, TargetPast, Unit
    from floe_monitor.settings.history_models import HistoryUrl

log = logging.getLogger("floe_monitor.history")

FRESH = 60.0
"""Seconds for which what was read is shown without reading it again."""
WAIT = 0.03
"""Seconds that a page waits for what was never read."""
PAUSE = 5.0
"""Seconds after which a database that could not be read is tried again."""
KEPT = 1_000
"""Strips and pasts in memory at most, of 13 kB each; those read longest ago go first."""

Key = tuple[str, str]
"""The unit, or `target`, and the target's name."""


class _Entry(NamedTuple):
    read_at: float
    value: Strip | TargetPast


class HistoryPast:
    """A `domain.uptime.PastSource`. For the event loop's thread; `run` reads in another one."""

    def __init__(
        self, url: HistoryUrl, environ: Mapping[str, str], *, clock: Callable[[], float] = time.time
    ) -> None:
        self._url = url
        self._environ = environ
        self._clock = clock
        self._known: dict[Key, _Entry] = {}
        self._wanted: dict[Key, None] = {}
        self._asked = anyio.Event()
        self._read = anyio.Event()
        self._limiter: anyio.CapacityLimiter | None = None
        self._running: tuple[float, dict[int, list[Period]]] = (-FRESH, {})
        """The thread's: the hours that are not over, of all targets, and when they were read."""
        self._since: float | None = None

    @property
    def since(self) -> float | None:
        return self._since

    async def strips(self, names: Sequence[str], unit: Unit) -> dict[str, Strip]:
        found = await self._ask([(unit, name) for name in names])
        return {name: value for (_, name), value in found.items() if isinstance(value, Strip)}

    async def target(self, name: str) -> TargetPast | None:
        found = await self._ask([("target", name)])
        value = found.get(("target", name))
        return None if isinstance(value, Strip) else value

    async def _ask(self, keys: Sequence[Key]) -> dict[Key, Strip | TargetPast]:
        now = time.monotonic()
        old = [key for key in keys if key not in self._known or now - self._known[key].read_at >= FRESH]
        if old:
            self._wanted.update(dict.fromkeys(old))
            self._asked.set()
        with anyio.move_on_after(WAIT):
            while any(key not in self._known for key in keys):
                await self._read.wait()
        return {key: self._known[key].value for key in keys if key in self._known}

    async def run(self) -> None:
        self._limiter = anyio.CapacityLimiter(1)
        while True:
            await self._asked.wait()
            self._asked = anyio.Event()
            wanted, self._wanted = tuple(self._wanted), {}
            found = await self._try(wanted)
            if found is None:
                await anyio.sleep(PAUSE)
                continue
            now = time.monotonic()
            for key, value in found.items():
                self._known.pop(key, None)
                self._known[key] = _Entry(now, value)
            for key in list(self._known)[:-KEPT]:
                del self._known[key]
            self._read.set()
            self._read = anyio.Event()

    async def _try(self, wanted: Sequence[Key]) -> dict[Key, Strip | TargetPast] | None:
        """None where it cannot be read now; what the recorder says of the same database is shown."""
        try:
            return await anyio.to_thread.run_sync(
                self._load, wanted, abandon_on_cancel=True, limiter=self._limiter
            )
        except HistoryUnavailableError as error:
            log.debug("the past cannot be read: %s", error)
        except Exception as error:  # whatever it is costs the pages their past, and nothing else
            log.warning("the past cannot be read: unexpected %s", type(error).__name__)
            log.debug("the past cannot be read", exc_info=error)
        return None

    def _load(self, wanted: Sequence[Key]) -> dict[Key, Strip | TargetPast]:
        now = self._clock()
        found: dict[Key, Strip | TargetPast] = {}
        with open_history(self._url, self._environ) as reader:
            connection = reader.connection
            if self._since is None:
                self._since = past_queries.oldest(connection)
            read_at, running = self._running
            if time.monotonic() - read_at >= FRESH:
                running = past_queries.running(connection, now)
                self._running = time.monotonic(), running
            for unit in ("days", "hours"):
                names = [name for kind, name in wanted if kind == unit]
                if names:
                    strips = past_queries.strips(reader, names, unit, now, running)
                    found.update({(unit, name): strip for name, strip in strips.items()})
            for kind, name in wanted:
                if kind == "target":
                    found[kind, name] = past_queries.target(reader, name, now, running)
        return found
