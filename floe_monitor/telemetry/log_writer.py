"""Writes log lines to standard error in a thread of its own, behind a bounded queue.

Standard error is often a pipe. When its reader is slow, writing blocks; when the reader has ended, it fails.
Neither may reach the code that logs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from floe_monitor.telemetry.fanout import Drops

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH = 256
"""Lines joined into one write."""
RETRY = 0.05
"""Seconds before trying again where the descriptor is non-blocking and full."""


class LogWriter:
    """Writes lines to the descriptor under `stream`, past its buffer: a buffer locked by a blocked writer
    would hang the interpreter's exit. A stream without a descriptor is written to as it is.

    Lines lost are counted under `log`; when writing works again, `lost_line` says how many.
    """

    def __init__(
        self,
        stream: TextIO | None,
        drops: Drops | None = None,
        *,
        capacity: int = 10_000,
        lost_line: Callable[[int], str] = "{} log lines were lost".format,
    ) -> None:
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._drops = Drops() if drops is None else drops
        self._drops.register("log")
        self._capacity = capacity
        self._lost_line = lost_line
        self._reported = 0
        self._queue: deque[str] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._on_close: list[Callable[[], None]] = []
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line, given without its end. From any thread; never blocks, never raises."""
        if len(self._queue) >= self._capacity:
            self._drops.add("log")
            return
        self._queue.append(line)
        if not self._wake.is_set():
            self._wake.set()

    def on_close(self, undo: Callable[[], None]) -> None:
        self._on_close.append(undo)

    def close(self, timeout: float) -> bool:
        """Write what is queued, for at most `timeout` seconds. False if lines were left."""
        for undo in reversed(self._on_close):
            undo()
        self._on_close.clear()
        self._closing = True
        self._wake.set()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._drops.add("log", len(self._queue))
            return False
        return True

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._queue:
                self._write([self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))])
            if self._closing and not self._queue:
                return

    def _write(self, lines: list[str]) -> None:
        lost = self._drops["log"]
        more = [self._lost_line(lost - self._reported)] if lost > self._reported else []
        text = "\n".join([*lines, *more]) + "\n"
        try:
            if self._descriptor is not None:
                self._write_all(self._descriptor, text.encode("utf-8", "backslashreplace"))
            elif self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
            else:
                raise BrokenPipeError  # a process without standard error
            self._reported = lost
        except (OSError, ValueError):  # the reader has ended, or the stream was closed
            self._drops.add("log", len(lines))

    def _write_all(self, descriptor: int, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[os.write(descriptor, rest) :]
            except BlockingIOError:
                if self._closing:
                    raise
                time.sleep(RETRY)


def _descriptor(stream: TextIO | None) -> int | None:
    if stream is None:
        return None
    with suppress(OSError, ValueError, AttributeError):
        stream.flush()
        return stream.fileno()
    return None
