"""Where validations run: slots that tell the truth, on daemon threads of our own.

A slot is taken until its worker really ends, whatever became of the probe that asked for it. anyio's thread
limiter is no help here: it hands a token back when the awaiting task is abandoned, while the thread still
runs, and it waits for such threads at exit.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.domain.state import WorkerCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call on a worker ended: `error` is None when it returned."""

    value: Any = None
    error: BaseException | None = None


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
        self._idle: list[_Thread] = []
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

    def submit(self, slot: Slot, call: Callable[[], Any], done: Callable[[Outcome], None]) -> None:
        """Run `call` on a worker; `done` gets its outcome on the event loop, after the slot is free again."""
        loop = asyncio.get_running_loop()
        try:
            thread = self._idle.pop() if self._idle else _Thread()
        except RuntimeError:  # a limit on threads or processes: this probe fails, the monitor goes on
            self.release(slot)
            done(Outcome(error=MonitorResourceError("the monitor could start no thread for the probe")))
            return

        def finished(outcome: Outcome) -> None:
            self._idle.append(thread)
            self.release(slot)
            done(outcome)

        thread.run_call(call, loop, finished)

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
        for thread in self._idle:
            thread.stop()
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


class _Thread:
    """One daemon thread that runs calls handed to it, one after another."""

    _number = 0

    def __init__(self) -> None:
        _Thread._number += 1
        self._inbox: SimpleQueue[_Call | None] = SimpleQueue()
        thread = threading.Thread(target=self._serve, name=f"floe-worker-{_Thread._number}", daemon=True)
        thread.start()

    def run_call(
        self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop, done: Callable[[Outcome], None]
    ) -> None:
        self._inbox.put(_Call(call, loop, done))

    def stop(self) -> None:
        self._inbox.put(None)

    def _serve(self) -> None:
        owner = os.getpid()
        while (job := self._inbox.get()) is not None:
            try:
                outcome = Outcome(value=job.call())
            except BaseException as error:  # noqa: BLE001 - SystemExit of a plugin must not end the worker
                outcome = Outcome(error=error)
            if os.getpid() != owner:
                # The call forked and the copy returned too. It holds our sockets and must not live on.
                os._exit(0)
            _keep_standard_descriptors()
            # The loop is closed once the daemon has stopped: nobody waits any more.
            with contextlib.suppress(RuntimeError):
                job.loop.call_soon_threadsafe(job.done, outcome)
            del job, outcome  # no reference to a result or traceback while idle


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    call: Callable[[], Any]
    loop: asyncio.AbstractEventLoop
    done: Callable[[Outcome], None]


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
