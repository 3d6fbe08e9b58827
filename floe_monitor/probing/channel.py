"""Messages between the monitor and a worker process: pickled, each behind its length, over a socket.

Every wait has an end, also within a message: what the other side runs is a plugin, which may write to any
descriptor or be stopped at any byte.
"""

from __future__ import annotations

import pickle
import struct
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

MOST_BYTES = 64 << 20
_LENGTH = struct.Struct("!I")


class MessageError(Exception):
    """What came is no message."""


class Channel:
    """One end. `until` is on `time.monotonic`'s clock, None for no end; past it `TimeoutError` is raised, and
    the channel is of no further use."""

    def __init__(self, socket: socket.socket) -> None:
        self._socket = socket
        self._sending = threading.Lock()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, value: Any, until: float | None = None) -> None:
        """From any thread. Raises `OSError` where the other side has gone."""
        data = pickle.dumps(value)
        with self._sending:
            self._bound(until)
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def receive(self, until: float | None = None) -> Any:
        """Raises `EOFError` or `OSError` where the other side has gone, `MessageError` for what is none."""
        (size,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        if size > MOST_BYTES:
            raise MessageError
        data = self._read(size, until)
        try:
            return pickle.loads(data)  # noqa: S301 - from a process of ours, which may do all that we may
        except Exception as error:
            raise MessageError from error

    def close(self) -> None:
        self._socket.close()

    def _read(self, size: int, until: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            self._bound(until)
            more = self._socket.recv(min(size - len(data), 1 << 16))
            if not more:
                raise EOFError
            data += more
        return bytes(data)

    def _bound(self, until: float | None) -> None:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
