"""Ends a process whose event loop does not turn, with the stack of every thread on standard error.

Native code that holds the interpreter's lock stops all of Python: health, the stop, every thread. What can
still act is a thread of C, which `faulthandler` has. A process that was suspended (`docker pause`) for longer
than the limit ends when it goes on: that thread's clock went on too.
"""

from __future__ import annotations

import faulthandler
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator

ARM_EVERY = 1.0


class Watchdog:
    """`run` in the event loop arms it again and again; the process ends with status 1 when that stops."""

    def __init__(self, seconds: float, descriptor: int = 2) -> None:
        self._seconds = seconds
        self._descriptor = descriptor

    async def run(self) -> None:
        with _written_without_waiting(self._descriptor) as descriptor:
            try:
                while True:
                    # At a limit on threads it has none; the next turn tries again.
                    with suppress(RuntimeError):
                        faulthandler.dump_traceback_later(self._seconds, exit=True, file=descriptor)
                    await anyio.sleep(ARM_EVERY)
            finally:
                faulthandler.cancel_dump_traceback_later()


@contextmanager
def _written_without_waiting(descriptor: int) -> Iterator[int]:
    """A pipe is opened once more: one that is full and not read must not keep the process from ending, and
    the descriptor that others have shall go on to wait."""
    opened = None
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            opened = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield descriptor if opened is None else opened
    finally:
        if opened is not None:
            os.close(opened)
