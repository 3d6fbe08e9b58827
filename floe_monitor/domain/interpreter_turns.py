"""Background threads that compute do so one at a time, as far as they can wait.

CPython hands its lock on every 5 ms where several threads want it, and not to the one that waits longest: an
event loop beside one thread that computes waits for 5 ms, beside two for 50 ms and more. Pages and scrapes
are rendered at once, somebody waits for them; exports wait for those and for each other.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


EVERY, BREAK = 0.002, 0.0001
"""Seconds of computing between two breaks, and of a break: less is over before another thread is awake."""


class Breaks:
    """Those of a thread that computes for long, in which a thread that waits gets the interpreter at once."""

    def __init__(self) -> None:
        self._next = time.perf_counter() + EVERY

    def take_if_due(self) -> None:
        if time.perf_counter() >= self._next:
            time.sleep(BREAK)
            self._next = time.perf_counter() + EVERY


class InterpreterTurns:
    """Counts the threads that compute."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._computing = 0

    @contextmanager
    def take(self, patience: float = 0.0) -> Iterator[None]:
        """For the block the thread computes. Before, it waits up to `patience` seconds for others that do."""
        with self._changed:
            if patience > 0:
                self._changed.wait_for(lambda: not self._computing, patience)
            self._computing += 1
        try:
            yield
        finally:
            with self._changed:
                self._computing -= 1
                self._changed.notify_all()


TURNS = InterpreterTurns()
"""Those of the process, since its threads share one interpreter."""
