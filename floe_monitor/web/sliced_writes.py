"""A transport that is given a large answer in slices, one in each turn of the event loop.

asyncio takes what it is given whole: before Python 3.12 it copies what the socket does not hold at once, and
with TLS it encrypts all of it. A metrics page of ten thousand targets then keeps the loop for 15 ms, and the
ticks of probes with it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

SLICE = 262_144
"""Bytes. Smaller ones would cost more: each is a system call, after which a thread that computes may have the
interpreter for 5 ms."""


def _tell_nobody() -> None:
    """Of a connection that is gone."""


class SlicedTransport:
    """What it does not write itself it leaves to `transport`, whose protocol calls `pause` and `resume`.

    `hold` and `release` are called in place of `pause_writing` and `resume_writing`: while slices wait the
    answer is not taken yet, whatever the transport says between two of them.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        hold: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._hold = hold
        self._release = release
        self._waiting: deque[memoryview] = deque()
        self._next: asyncio.Handle | None = None
        self._paused = self._held = self._ending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def waits(self) -> bool:
        """Whether something was not given to the transport yet."""
        return bool(self._waiting)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._waiting and len(data) <= SLICE:
            self._transport.write(data)
            return
        self._waiting.append(memoryview(data))
        self._tell()
        if self._next is None and not self._paused:
            self._give()

    def pause(self) -> None:
        self._paused = True
        self._tell()

    def resume(self) -> None:
        self._paused = False
        if self._waiting and self._next is None:
            # Not at once: a transport that is closed while it resumes tells of its end twice.
            self._next = self._loop.call_soon(self._give)
        self._tell()

    def close(self) -> None:
        if self._waiting:
            self._ending = True
        else:
            self._transport.close()

    def give_all(self) -> None:
        """At once, where the transport ends before its next turn."""
        waiting = list(self._waiting)
        self._waiting.clear()
        for part in waiting:
            self._transport.write(part)
        self._tell()

    def abort(self) -> None:
        self.forget()
        self._transport.abort()

    def forget(self) -> None:
        """The connection is gone, and with it whatever waits.

        Who was told is let go of: a cycle of references would keep the protocol until a garbage collection.
        """
        self._hold = self._release = _tell_nobody
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def is_closing(self) -> bool:
        return self._ending or self._transport.is_closing()

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._waiting)) + self._transport.get_write_buffer_size()

    def _give(self) -> None:
        self._next = None
        if self._transport.is_closing():
            self._waiting.clear()
        if self._waiting:
            first = self._waiting.popleft()
            if len(first) > SLICE:
                self._waiting.appendleft(first[SLICE:])
            self._transport.write(first[:SLICE])
        if self._waiting and not self._paused:
            self._next = self._loop.call_soon(self._give)
        elif self._ending and not self._waiting:
            self._transport.close()
        self._tell()

    def _tell(self) -> None:
        held = self._paused or bool(self._waiting)
        if held != self._held:
            self._held = held
            (self._hold if held else self._release)()
