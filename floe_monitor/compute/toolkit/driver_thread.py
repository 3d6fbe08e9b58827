"""Calls of a driver that return by a given moment, whatever its own timeouts do.

Drivers count timeouts in whole seconds, restart them with every byte, or retry beyond them. So the calls of
one validation run on a daemon thread of its own, which the validation abandons at its deadline. It must end
later by the driver's own, coarser timeouts; how many there may be at once is limited all the same.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from floe_monitor.compute.errors import ComputeTimeoutError
from floe_monitor.compute.toolkit.worker_thread import WorkerThread

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute.deadline import Deadline

_T = TypeVar("_T")
LIMIT = 64
"""Abandoned threads at once, over all targets of a plugin."""


class DriverThreads:
    """One for a plugin, shared by all its validations; safe to use from any thread."""

    def __init__(self, name: str, limit: int = LIMIT) -> None:
        self._name = name
        self._limit = limit
        self._lock = threading.Lock()
        self._abandoned = 0

    @property
    def abandoned(self) -> int:
        """Abandoned threads whose call has not returned."""
        return self._abandoned

    def start(self, deadline: Deadline) -> DriverThread:
        """A thread for the calls of one validation.

        Raises `ComputeTimeoutError` at the limit, `MonitorResourceError` where the system gives no thread.
        """
        if self._abandoned >= self._limit:
            raise ComputeTimeoutError(f"{self._limit} calls of earlier probes are still unanswered")
        return DriverThread(self, WorkerThread(self._name, "the session"), deadline)

    def count(self, change: int) -> None:
        with self._lock:
            self._abandoned += change


class DriverThread:
    """Runs calls one after the other, until `end`, each in the context of whoever makes it."""

    def __init__(self, owner: DriverThreads, thread: WorkerThread, deadline: Deadline) -> None:
        self.deadline = deadline
        """When waits for its calls end; may be replaced."""
        self._owner = owner
        self._thread = thread
        self._lock = threading.Lock()
        self._abandoned = self._ended = False

    def call(self, function: Callable[[], _T], waiting_for: str) -> _T:
        """What `function` returns or raises; `ComputeTimeoutError` names what did not come in time."""
        call = self._thread.submit(function)
        if not call.done.wait(self.deadline.remaining()):
            raise ComputeTimeoutError(f"no answer in time while waiting for {waiting_for}")
        return call.get()

    def end(self, last: Callable[[], object] | None = None, *, waiting: bool = True) -> None:
        """Run `last` as soon as the thread is free, then end it; waits for both until the deadline."""
        ended = self._thread.submit(last or _nothing, on_done=lambda _: self._finish())
        self._thread.end()
        if waiting:
            ended.done.wait(self.deadline.remaining())
        with self._lock:
            self._abandoned = not self._ended
            if self._abandoned:
                self._owner.count(1)

    def _finish(self) -> None:
        with self._lock:
            self._ended = True
            if self._abandoned:
                self._owner.count(-1)


def _nothing() -> None:
    """The last call of a thread that has none: it reports that those before it have ended."""
