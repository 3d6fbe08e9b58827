"""Signal handlers, in place from before the event loop runs until the process has ended.

asyncio puts the default action back when its loop closes: a second SIGTERM during the last flush would then
kill the process, and so would a SIGHUP. These handlers stay.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT)

SAME_REQUEST = 1.0
"""Seconds within which a second signal is the same request: a shell and its group both pass one on."""


class Signals:
    """Set up in the main thread. `connect` says what to do; until then a stop ends the process at once with
    status 0, since nothing has begun, and a reload is remembered."""

    def __init__(self) -> None:
        self._stop: Callable[[signal.Signals], None] | None = None
        self._reload: Callable[[], None] | None = None
        self._reload_asked = False
        self._asked: float | None = None
        if threading.current_thread() is threading.main_thread():
            for number in (*STOPPING, signal.SIGHUP):
                signal.signal(number, self._handle)

    def connect(self, stop: Callable[[signal.Signals], None], reload: Callable[[], None]) -> None:
        """From here on `stop` and `reload` are called, in the main thread and between any two instructions:
        they may only pass the request to the event loop."""
        self._stop, self._reload = stop, reload
        if self._reload_asked:
            reload()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._reload_asked = True
            if self._reload is not None:
                self._reload()
            return
        now = time.monotonic()
        if self._stop is None:
            os._exit(0)
        elif self._asked is None:
            self._asked = now
            self._stop(signal.Signals(number))
        elif now - self._asked >= SAME_REQUEST:
            os._exit(0)
