"""Calls of a driver that return by a given moment, whatever its own timeouts do.

Drivers count timeouts in whole seconds, restart them with every byte, or retry beyond them. So the calls of
one validation run on a daemon thread of its own, which the validation abandons at its deadline. It must end
later by the driver's own, coarser timeouts; how many there may be at once is limited all the same.
"""

from __future__ import annotations

import contextvars
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from floe_monitor.compute.errors import ComputeTimeoutError, MonitorResourceError

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
        """Threads for which nobody waits any more and whose call has not returned."""
        return self._abandoned

    def start(self, deadline: Deadline) -> DriverThread:
        """A thread for the calls of one validation.

        Raises `ComputeTimeoutError` at the limit, `MonitorResourceError` where the system gives no thread.
        """
        if self._abandoned >= self._limit:
            raise ComputeTimeoutError(f"{self._limit} calls of earlier probes are still unanswered")
        try:
            return DriverThread(self, self._name, deadline)
        except RuntimeError:
            raise MonitorResourceError("the monitor could start no thread for the session") from None

    def count(self, change: int) -> None:
        with self._lock:
            self._abandoned += change


class DriverThread:
    """Runs calls one after the other, until `end`. Its context variables are those of whoever started it."""

    def __init__(self, owner: DriverThreads, name: str, deadline: Deadline) -> None:
        self.deadline = deadline
        """When waits for its calls end; may be replaced."""
        self._owner = owner
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._abandoned = self._ended = False
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], _T], waiting_for: str) -> _T:
        """What `function` returns or raises; `ComputeTimeoutError` names what did not come in time."""
        call = _Call(function)
        self._calls.put(call)
        if not call.done.wait(self.deadline.remaining()):
            raise ComputeTimeoutError(f"no answer in time while waiting for {waiting_for}")
        if call.error is not None:
            raise call.error
        result: _T = call.result
        return result

    def end(self, last: Callable[[], object] | None = None, *, waiting: bool = True) -> None:
        """Run `last` as soon as the thread is free, then end it; waits for both until the deadline."""
        if last is not None:
            self._calls.put(_Call(last))
        self._calls.put(None)
        if waiting:
            self._thread.join(self.deadline.remaining())
        with self._lock:
            self._abandoned = not self._ended
            if self._abandoned:
                self._owner.count(1)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
        with self._lock:
            self._ended = True
            if self._abandoned:
                self._owner.count(-1)


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self.error = error
        finally:
            self.done.set()
