"""A daemon thread that runs the calls submitted to it, one after another.

For calls that may block for ever: a daemon thread holds no exit up, so one that is blocked can be abandoned.
"""

from __future__ import annotations

import contextvars
import os
import threading
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit import process_state

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class Call(Generic[_T]):
    """A submitted call. `done` is set when it has ended: by raising `error`, or, where that is None, by
    returning `result`."""

    result: _T | None = None
    error: BaseException | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def get(self) -> _T:
        """The result of a call that has ended; raises its error instead, if it has one."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # None only where that is the result


_Job = tuple[Call[_T], "Callable[[], _T]", contextvars.Context, "Callable[[Call[_T]], object] | None"]
"""Apart from its `Call`, so that who keeps the outcome does not keep what the function refers to. A tuple: a
class costs a microsecond more, for every probe."""


class WorkerThread:
    """Safe to submit to from any thread. A process forked by a call ends where the call returns in it."""

    def __init__(self, name: str, purpose: str = "it") -> None:
        """Starts it. Raises `MonitorResourceError`, which names `purpose`, where the system gives none."""
        self._inbox: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        try:
            threading.Thread(target=self._run, name=name, daemon=True).start()
        except RuntimeError:
            raise MonitorResourceError(f"the monitor could start no thread for {purpose}") from None

    def submit(
        self, function: Callable[[], _T], on_done: Callable[[Call[_T]], object] | None = None
    ) -> Call[_T]:
        """Run `function` after the calls submitted before, in a copy of the caller's context.

        `on_done` is called in the worker thread when the call has ended, before its `done` is set, so that
        whoever waits for that finds its work done; it must not raise.
        """
        call: Call[_T] = Call()
        self._inbox.put((call, function, contextvars.copy_context(), on_done))
        return call

    def end(self) -> None:
        """End the thread after the calls submitted so far, without waiting for them."""
        self._inbox.put(None)

    def _run(self) -> None:
        owner = os.getpid()
        while (job := self._inbox.get()) is not None:
            call, function, context, on_done = job
            try:
                call.result = context.run(function)
            except BaseException as error:  # noqa: BLE001 - the caller gets it; SystemExit ends no worker
                call.error = error
            if os.getpid() != owner:
                # The call forked and the copy returned too. It holds our sockets and must not live on.
                os._exit(0)
            process_state.restore()
            if on_done is not None:
                on_done(call)
            call.done.set()
            del job, call, function, context, on_done  # no reference to a result or traceback while idle
