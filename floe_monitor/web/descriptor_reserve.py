"""Descriptors kept back for clients: health must be answered also where a driver has taken all others."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import suppress

from floe_monitor.compute.toolkit.headroom import descriptor_limit

KEPT = 32
"""How many; a sixteenth of the limit where that is less."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class DescriptorReserve:
    """Open descriptors of the null device. For the event loop's thread only."""

    def __init__(self, size: int | None = None) -> None:
        self._size = min(KEPT, descriptor_limit() // 16) if size is None else size
        self._held: list[int] = []
        self.restore()

    def __len__(self) -> int:
        return len(self._held)

    def free_one(self) -> bool:
        """Free one for what is opened next. False where none is left."""
        if not self._held:
            return False
        os.close(self._held.pop())
        return True

    def restore(self) -> None:
        """Take back what was freed, as far as there are descriptors again."""
        with suppress(OSError):
            while len(self._held) < self._size:
                self._held.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def close(self) -> None:
        self._size = 0
        while self.free_one():
            pass


class ReservingSocket(socket.socket):
    """A listening socket that accepts with what is in reserve where no other descriptor is left.

    asyncio calls `accept` as often as the backlog is long, logs each failure, and tries again after a second.
    A failure is therefore raised once; the next call has nothing to accept.
    """

    reserve: DescriptorReserve | None = None
    _failed = False

    def accept(self) -> tuple[socket.socket, object]:
        if self._failed:
            self._failed = False
            raise BlockingIOError
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
        if self.reserve is not None and self.reserve.free_one():
            with suppress(BlockingIOError):  # the client has gone
                return super().accept()
            raise BlockingIOError
        self._failed = True
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
