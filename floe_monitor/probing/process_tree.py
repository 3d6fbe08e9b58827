"""Ends all that a worker process has started, whatever session or group it has moved to.

A worker process adopts what its children leave behind (Linux: a child subreaper), so that for as long as it
lives everything it started is below it. Once it has died, a variable of its environment, which they have
inherited, still tells whose they are.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

VARIABLE = "FLOE_MONITOR_WORKER"
"""Holds a random word, another for each worker process."""

_SET_CHILD_SUBREAPER = 36
_ROUNDS = 100
"""In each, those are killed that the last one's victims had started meanwhile."""


def adopt_orphans() -> None:
    """Become the parent of what this process's children leave behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_descendants(pid: int) -> None:
    """Kill everything below a process, which may be stopped so that it starts no more."""
    for _ in range(_ROUNDS):
        if not _kill(_descendants(pid)):
            return


def kill_marked(mark: str) -> None:
    """Kill everything that was started with this word in its environment."""
    entry = f"{VARIABLE}={mark}".encode()
    for _ in range(_ROUNDS):
        if not _kill([pid for pid in _processes() if _has(pid, entry) and _runs(pid)]):
            return


def _kill(pids: list[int]) -> bool:
    """Whether any was there to be killed."""
    killed = False
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
            killed = True
    return killed


def _descendants(pid: int) -> list[int]:
    """Those that still run; zombies wait for their parent alone."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = _children(waiting.pop())
        waiting += children
        found += [child for child in children if _runs(child)]
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                found += map(int, (task / "children").read_text().split())
    return found


def _runs(pid: int) -> bool:
    with suppress(OSError, IndexError):
        # The name before the state stands in brackets, and may hold any character.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def _processes() -> list[int]:
    with suppress(OSError):
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return []


def _has(pid: int, entry: bytes) -> bool:
    with suppress(OSError):
        return entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False
