"""Calls of the driver that return by a given moment.

The driver counts its timeouts in whole seconds. So its calls run on a daemon thread, one for a validation,
which is left behind at the deadline. None stays for long: the driver's own timeouts end it about a second
later. Their number is limited all the same.
"""

from __future__ import annotations

import contextvars
import queue
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from floe_monitor.compute import ComputeTimeoutError
from floe_monitor.compute.errors import MonitorResourceError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
LIMIT = 64
"""Threads left behind at once, over all targets."""


class Bounded:
    """Hands out lines; safe to use from any thread."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._left_behind = 0

    @property
    def left_behind(self) -> int:
        """Calls that nobody waits for any more and that have not returned."""
        return self._left_behind

    def line(self, name: str, expires_at: float) -> Line:
        """One thread for the calls of one validation.

        Raises `ComputeTimeoutError` at the limit, `MonitorResourceError` where the system gives none.
        """
        if self._left_behind >= self._limit:
            raise ComputeTimeoutError(f"{self._limit} calls of earlier probes are still unanswered")
        try:
            return Line(self, name, expires_at)
        except RuntimeError:
            raise MonitorResourceError("the monitor could start no thread for the session") from None

    def leave(self, change: int) -> None:
        with self._lock:
            self._left_behind += change


class Line:
    """Runs calls one after the other on a thread of its own, until `end`."""

    def __init__(self, owner: Bounded, name: str, expires_at: float) -> None:
        self.expires_at = expires_at
        """On `time.monotonic`'s clock."""
        self._owner = owner
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._left = self._ended = False
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], _T], waiting_for: str) -> _T:
        """What the function gives; `ComputeTimeoutError` names what did not come in time."""
        call = _Call(function)
        self._calls.put(call)
        if not call.done.wait(max(0.0, self.expires_at - time.monotonic())):
            raise ComputeTimeoutError(f"no answer in time while waiting for {waiting_for}")
        if call.error is not None:
            raise call.error
        result: _T = call.result
        return result

    def end(self, last: Callable[[], object] | None = None, *, waiting: bool = True) -> None:
        """Run `last` as soon as the thread is free, and let it go; waits for both until the deadline."""
        if last is not None:
            self._calls.put(_Call(last))
        self._calls.put(None)
        if waiting:
            self._thread.join(max(0.0, self.expires_at - time.monotonic()))
        with self._lock:
            self._left = not self._ended
            if self._left:
                self._owner.leave(1)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
        with self._lock:
            self._ended = True
            if self._left:
                self._owner.leave(-1)


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
