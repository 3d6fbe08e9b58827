"""Where validations run: slots and the worker threads that occupy them.

A slot is taken until its worker really ends, whatever became of the probe that asked for it. anyio's thread
limiter is no help here: it returns a token when the awaiting task is abandoned, while the thread still
runs, and it waits for such threads at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.worker_thread import Call, WorkerThread
from floe_monitor.domain.worker_counts import WorkerCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_T = TypeVar("_T")
_numbers = itertools.count(1)


@dataclass(slots=True, eq=False)
class Slot:
    """The right to occupy one worker. Given back by the pool when the worker ends, or by `release`."""

    plugin: str
    stuck: bool = False


@dataclass(slots=True, eq=False)
class _Waiter:
    order: int
    granted: asyncio.Event
    slot: Slot | None = None


class WorkerPool:
    """Threads for at most `limit` calls at once, `per_plugin` of one plugin.

    For the event loop's thread only, where `on_change` is called with every new `counts`.
    """

    def __init__(
        self,
        limit: int,
        per_plugin: int,
        on_change: Callable[[Mapping[str, WorkerCounts]], None] = lambda _: None,
    ) -> None:
        self._on_change = on_change
        self._limit = limit
        self._per_plugin = per_plugin
        self._taken = 0
        self._busy: dict[str, int] = {}
        self._stuck: dict[str, int] = {}
        self._waiters: dict[str, deque[_Waiter]] = {}
        self._order = 0
        self._idle: list[WorkerThread] = []
        self._counts: dict[str, WorkerCounts] = {}
        self._forgotten: set[str] = set()

    @property
    def counts(self) -> Mapping[str, WorkerCounts]:
        """By plugin; a new mapping after every change, so another thread may keep one."""
        return self._counts

    @property
    def taken(self) -> int:
        return self._taken

    @property
    def limit(self) -> int:
        return self._limit

    def resize(self, limit: int, per_plugin: int) -> None:
        """New limits. Workers over a lowered limit finish what they do."""
        self._limit, self._per_plugin = limit, per_plugin
        for plugin in list(self._busy):
            self._count(plugin)
        self._grant()

    def announce(self, plugin: str) -> None:
        """Show a plugin in `counts` before its first probe."""
        self._forgotten.discard(plugin)
        if plugin not in self._counts:
            self._count(plugin)

    def forget(self, plugin: str) -> None:
        """Drop a plugin no target uses any more from `counts`, as soon as nothing of it runs."""
        self._forgotten.add(plugin)
        if not self._busy.get(plugin) and not self._waiters.get(plugin):
            self._forgotten.discard(plugin)
            self._busy.pop(plugin, None)
            self._stuck.pop(plugin, None)
            self._counts = {name: counts for name, counts in self._counts.items() if name != plugin}
            self._on_change(self._counts)

    async def acquire(self, plugin: str) -> Slot:
        """Wait for a slot; first come first served among those whose plugin has room."""
        if self._has_room(plugin) and not self._waiters.get(plugin):
            return self._take(plugin)
        waiter = _Waiter(self._order, asyncio.Event())
        self._order += 1
        queue = self._waiters.setdefault(plugin, deque())
        queue.append(waiter)
        try:
            await waiter.granted.wait()
        except asyncio.CancelledError:
            if waiter.slot is not None:
                self.release(waiter.slot)
            else:
                queue.remove(waiter)
            raise
        assert waiter.slot is not None  # noqa: S101 - granted is set together with the slot
        return waiter.slot

    def submit(self, slot: Slot, function: Callable[[], _T], done: Callable[[Call[_T]], None]) -> None:
        """Run `function` on a worker; `done` gets the ended call on the event loop, when the slot is free."""
        loop = asyncio.get_running_loop()
        try:
            worker = self._idle.pop() if self._idle else _start_worker()
        except (
            MonitorResourceError
        ) as error:  # a limit on threads or processes: this probe fails, the monitor goes on
            self.release(slot)
            done(Call(error=error))
            return

        def finished(call: Call[_T]) -> None:
            self._idle.append(worker)
            self.release(slot)
            done(call)

        def hand_over(call: Call[_T]) -> None:
            _keep_standard_descriptors()
            # The loop is closed once the daemon has stopped: no task waits for the result.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(finished, call)

        worker.submit(function, hand_over)

    def mark_stuck(self, slot: Slot) -> None:
        """The call in this slot is past its deadline and has not returned."""
        if not slot.stuck:
            slot.stuck = True
            self._stuck[slot.plugin] = self._stuck.get(slot.plugin, 0) + 1
            self._count(slot.plugin)

    def release(self, slot: Slot) -> None:
        """Give a slot back. The pool itself does so for a slot that was submitted."""
        self._taken -= 1
        self._busy[slot.plugin] -= 1
        if slot.stuck:
            self._stuck[slot.plugin] -= 1
        self._count(slot.plugin)
        self._grant()
        if slot.plugin in self._forgotten:
            self.forget(slot.plugin)

    def close(self) -> None:
        """End the idle threads. Busy ones, daemon threads, end when they return or with the process."""
        for worker in self._idle:
            worker.end()
        self._idle.clear()

    def _has_room(self, plugin: str) -> bool:
        return self._taken < self._limit and self._busy.get(plugin, 0) < self._per_plugin

    def _take(self, plugin: str) -> Slot:
        self._taken += 1
        self._busy[plugin] = self._busy.get(plugin, 0) + 1
        self._count(plugin)
        return Slot(plugin)

    def _grant(self) -> None:
        while self._taken < self._limit:
            eligible = [
                (queue[0].order, plugin)
                for plugin, queue in self._waiters.items()
                if queue and self._has_room(plugin)
            ]
            if not eligible:
                return
            plugin = min(eligible)[1]
            waiter = self._waiters[plugin].popleft()
            waiter.slot = self._take(plugin)
            waiter.granted.set()

    def _count(self, plugin: str) -> None:
        self._counts = {
            **self._counts,
            plugin: WorkerCounts(self._busy.get(plugin, 0), self._stuck.get(plugin, 0), self._per_plugin),
        }
        self._on_change(self._counts)


def _start_worker() -> WorkerThread:
    return WorkerThread(f"floe-worker-{next(_numbers)}", "the probe")


def _keep_standard_descriptors() -> None:
    """Reopen descriptors 0 to 2 on /dev/null if a plugin closed them.

    The next socket opened would else take their number, and a stray print would go to a database.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with contextlib.suppress(OSError):
                opened = os.open(os.devnull, os.O_RDWR)
                if opened != number:
                    os.dup2(opened, number)
                    os.close(opened)
