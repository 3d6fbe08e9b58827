"""Wakes an event loop that waits when a signal arrives.

Python runs a signal's handler in the main thread, once that runs instructions again. A loop that waits is
woken by the system only where the signal reaches its thread within the wait: one that arrives just before, or
on another thread, is noticed with the next event, which may never come. The daemon's turns each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def waking_on_signals() -> Iterator[None]:
    """For the running event loop; nothing outside of the main thread, where no handler runs either."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        loop.add_reader(ours, _drain, ours)
        former = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(former)
            loop.remove_reader(ours)


def _drain(ours: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        ours.recv(4096)
