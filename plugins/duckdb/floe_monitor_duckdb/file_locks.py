"""Who holds a lock on a file, learnt without taking one.

POSIX locks belong to a process, and closing *any* descriptor of a file drops all that this process has on
it. So a file that DuckDB holds open in this very process is not opened here, and a descriptor whose file
comes to be held meanwhile is kept until that has ended.
"""

from __future__ import annotations

import fcntl
import os
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINUX = sys.platform.startswith("linux")
_FLOCK = "hhqqi4x" if _LINUX else "qqihh"


@dataclass(frozen=True, slots=True)
class Holder:
    """A process with a lock on the file. `pid` is None where it is in another PID namespace."""

    pid: int | None
    exclusive: bool

    def __str__(self) -> str:
        if self.pid is None:
            return "another process"
        if self.pid == os.getpid():
            return f"PID {self.pid} (this process)"
        name = ""
        with suppress(OSError):
            name = Path(f"/proc/{self.pid}/comm").read_text(errors="replace").strip()
        return f"PID {self.pid} ({name})" if name else f"PID {self.pid}"


class HeldHereError(Exception):
    """This process itself has DuckDB's lock on the file: it must not be opened and closed again."""


def holder_of(descriptor: int) -> Holder | None:
    """Another process whose lock would refuse a writer; None where there is none."""
    if _LINUX:
        request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    else:
        request = struct.pack(_FLOCK, 0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    answer = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, request))
    kind, pid = (answer[0], answer[4]) if _LINUX else (answer[3], answer[2])
    if kind == fcntl.F_UNLCK:
        return None
    return Holder(pid if pid > 0 else None, exclusive=kind == fcntl.F_WRLCK)


def held_by_this_process(inode: int) -> bool | None:
    """Whether this process has a POSIX lock on a file of that inode number; None where it cannot be known."""
    try:
        table = Path("/proc/locks").read_bytes()
    except OSError:
        return None
    own, ending = str(os.getpid()).encode(), b":%d" % inode
    for line in table.splitlines():
        # 1: POSIX  ADVISORY  WRITE 4711 fe:01:267 0 EOF; a waiter has "->" as its second word
        words = line.split()
        if len(words) >= 6 and words[1] == b"POSIX" and words[4] == own and words[5].endswith(ending):
            return True
    return False


_deferred: dict[tuple[int, int], list[int]] = {}
"""Descriptors to be closed, by device and inode: at once, or when closing them drops no lock."""
_guard = threading.Lock()


@contextmanager
def reading(path: str, status: os.stat_result) -> Iterator[int]:
    """A descriptor for reading `path`, whose `os.stat` is `status`.

    Raises `HeldHereError`, or what `os.open` raises. Never waits for a writer of a FIFO.
    """
    with _guard:
        waiting = _deferred.get((status.st_dev, status.st_ino))
        descriptor = waiting.pop() if waiting else None
    if descriptor is None:
        if held_by_this_process(status.st_ino):
            raise HeldHereError
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        found = os.fstat(descriptor)
        with _guard:
            _deferred.setdefault((found.st_dev, found.st_ino), []).append(descriptor)
            _close_deferred()


def _close_deferred() -> None:
    """Close every descriptor whose closing drops no lock of this process."""
    for key in list(_deferred):
        if held_by_this_process(key[1]) is False:
            for descriptor in _deferred.pop(key):
                os.close(descriptor)
