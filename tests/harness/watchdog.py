"""Ends whatever a test run started, however the run ends: SIGKILL of pytest included.

Run as a script beside a test run, in a session of its own. Every process of a run is known by two signs: it
descends from pytest (looked up twice a second, so that one whose parent has gone since is still known), or it
carries the run's identifier in its environment (so that one is known which left its parent at once, as a
server does that puts itself into the background). Neither asks a test for anything, and neither is lost by
another user's rights, by a session or a process group of its own. Needs the standard library, and `/proc`.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

VARIABLE = "PYTEST_RUN_ID"
LOOKING_SECONDS = 0.5
GRACE_SECONDS = 3.0
"""Between asking (SIGTERM: a database cleans up) and killing."""
GIVING_UP_SECONDS = 20.0


class Process(NamedTuple):
    pid: int
    started: str
    """In ticks since boot: what tells it from a later process of the same number."""

    def is_alive(self) -> bool:
        found = _stat(self.pid)
        return found is not None and found[0] == self

    def send(self, number: signal.Signals) -> None:
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def describe(self) -> str:
        try:
            command = Path(f"/proc/{self.pid}/cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            return f"{self.pid} (ended meanwhile)"
        return f"{self.pid} {command.decode(errors='replace').strip()[:100]}"


def _stat(pid: int) -> tuple[Process, int] | None:
    """The process and its parent's number; None for one that has ended, reaped or not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    state, parent, *rest = text[text.rindex(")") + 2 :].split()
    return None if state in "ZX" else (Process(pid, rest[17]), int(parent))


def _marked(pid: int, identifier: bytes) -> bool:
    try:
        return identifier in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


class Watch:
    """The processes of one run, whose pytest is `root`."""

    def __init__(self, root: int, identifier: str) -> None:
        found = _stat(root)
        self._root = found and found[0]
        self._identifier = f"{VARIABLE}={identifier}".encode()
        self._known: set[Process] = set()

    def look(self, *, thoroughly: bool = False) -> set[Process]:
        """Those alive now; `thoroughly` reads every environment too, which takes some milliseconds."""
        own = os.getpid()
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        table = {pid: found for pid in numbers if (found := _stat(pid))}
        children: dict[int, list[int]] = {}
        for pid, (_, parent) in table.items():
            children.setdefault(parent, []).append(pid)
        self._known = {process for process in self._known if table.get(process.pid, (None,))[0] == process}
        members = {process.pid for process in self._known}
        if thoroughly:
            members |= {pid for pid in table if _marked(pid, self._identifier)}
        root = self._root
        if root is not None and table.get(root.pid, (None,))[0] != root:
            root = None  # its number may be another's by now
        queue = [*members, *([root.pid] if root else [])]
        while queue:
            for pid in children.get(queue.pop(), ()):
                if pid not in members:
                    members.add(pid)
                    queue.append(pid)
        self._known = {table[pid][0] for pid in members if pid not in {own, root and root.pid}}
        return self._known

    def end_all(self) -> list[str]:
        """Ask, then kill, until nothing is left; what it was."""
        begun = time.monotonic()
        ended: dict[Process, str] = {}
        while left := self.look(thoroughly=True):
            elapsed = time.monotonic() - begun
            if elapsed > GIVING_UP_SECONDS:
                break
            for process in left:
                if process not in ended:
                    ended[process] = process.describe()
                    process.send(signal.SIGTERM)
                elif elapsed > GRACE_SECONDS:
                    process.send(signal.SIGKILL)
            time.sleep(0.05)
        return list(ended.values())


def main(root: int, identifier: str) -> None:
    """Until pytest ends, or closes our standard input because it is about to."""
    watch = Watch(root, identifier)
    poller = select.poll()
    poller.register(os.pidfd_open(root), select.POLLIN)
    poller.register(sys.stdin.fileno(), select.POLLIN)
    while not poller.poll(LOOKING_SECONDS * 1000):
        watch.look()
    for description in watch.end_all():
        print(description, flush=True)


if __name__ == "__main__":
    with contextlib.suppress(ProcessLookupError, BrokenPipeError):
        main(int(sys.argv[1]), sys.argv[2])
