"""Waiting for what other threads, processes and servers do: by looking again, with a bound."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PAUSE = 0.01


def settled(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return as soon as it holds; fail where it does not within so many seconds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(_PAUSE)


@contextlib.contextmanager
def once(condition: Callable[[], object], act: Callable[[], object]) -> Iterator[None]:
    """`act`, in another thread, as soon as `condition` holds while the block runs; fail where it never does.

    A timer would strike at whichever step the machine has come to by then.
    """
    over, acted = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            if condition():
                act()
                acted.set()
                return
            over.wait(_PAUSE)

    watcher = threading.Thread(target=watch, name="once")
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    assert acted.is_set(), "what was waited for did not happen"
