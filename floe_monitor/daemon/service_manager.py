"""What systemd is told: that the daemon answers, that it makes progress, that it stops (sd_notify(3)).

Without NOTIFY_SOCKET nothing is sent. A message that does not go out is dropped: the next one follows, and
the service manager must not hold up the monitor.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.liveness import Verdict

SHORTEST = 0.05
"""Seconds between two signs of life, at least."""


class ServiceManager:
    """For the event loop's thread. `live` is asked before each sign of life."""

    def __init__(self, environ: Mapping[str, str], live: Callable[[], Verdict]) -> None:
        self._live = live
        self._interval = _interval(environ)
        self._socket: socket.socket | None = None
        name = environ.get("NOTIFY_SOCKET", "")
        if name[:1] in ("/", "@"):
            self._address = name if name[0] == "/" else "\0" + name[1:]
            with suppress(OSError):
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)

    def ready(self, status: str) -> None:
        """Requests are answered."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def run(self) -> None:
        """A sign of life twice in each WatchdogSec, as long as a restart could not do better."""
        if self._interval is None:
            return
        while True:
            verdict = self._live()
            if verdict.ok:
                self._send("WATCHDOG=1")
            else:
                self._send(f"STATUS=failing: {'; '.join(verdict.reasons)}")
            await anyio.sleep(self._interval)

    def _send(self, message: str) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto(message.encode("utf-8", "replace"), self._address)


def _interval(environ: Mapping[str, str]) -> float | None:
    """Half of WATCHDOG_USEC; None where it is not set, or for another process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        microseconds = int(environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return max(SHORTEST, microseconds / 2e6) if microseconds > 0 else None
