"""The child process of `isolation`: imports one plugin, then validates on request until told no more.

It ends with its parent, and takes along what it started: a thread waits on a descriptor that only the
parent's death or orderly close hangs up, so that a driver hanging here cannot outlive the daemon.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import checks, deadline
from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.probing.invocation import RaisedError, validate_with
from floe_monitor.registry.discovery import discover
from floe_monitor.registry.foreign_plugin import prepare

if TYPE_CHECKING:
    from floe_monitor.compute.models import CheckResult
    from floe_monitor.credentials.resolver import Resolved
    from floe_monitor.registry.discovery import PluginEntry


class _Line:
    """Answers to the parent, each with the number of the request it belongs to; from any thread."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def receive(self) -> tuple[int, Resolved, float | None]:
        request: tuple[int, Resolved, float | None] = self._connection.recv()
        return request

    def send(self, number: int, kind: str, value: Any) -> None:
        with self._lock:
            self._connection.send((number, kind, value))


class _StreamingLog(checks.CheckLog):
    """Tells the parent of every check as it begins and ends."""

    __slots__ = ("_line", "_number")

    def __init__(self, line: _Line, number: int) -> None:
        super().__init__()
        self._line, self._number = line, number

    def begin(self, name: str, started_ms: float) -> None:
        super().begin(name, started_ms)
        self._line.send(self._number, "begin", self.running)

    def finish(self, result: CheckResult) -> None:
        super().finish(result)
        self._line.send(self._number, "check", self.done[-1])


def main(descriptor: int) -> None:
    connection = Connection(descriptor)
    _end_with_parent(descriptor)
    # A child may be killed at any time, and serves whoever comes next: connections are not kept here.
    connection_cache.turn_off()
    address = connection.recv()
    line = _Line(connection)
    entry = discover().get(address.name, address.distribution)
    if entry.plugin is None:
        line.send(0, "unusable", entry.problem)
        return
    line.send(0, "ready", None)
    while True:
        number, resolved, seconds = line.receive()
        if seconds is None:
            prepare(entry.plugin, resolved.config)
            line.send(number, "ready", None)
        else:
            line.send(number, *_validate(entry, resolved, seconds, _StreamingLog(line, number)))


def _validate(
    entry: PluginEntry, resolved: Resolved, seconds: float, log: checks.CheckLog
) -> tuple[str, Any]:
    parent, plugin = os.getpid(), entry.plugin
    assert plugin is not None  # noqa: S101 - `main` has seen it
    try:
        with deadline.running_until(deadline.Deadline.after(seconds)), checks.recording_into(log):
            return "result", validate_with(plugin, resolved, entry.distribution)
    except RaisedError as error:
        return "error", (error.text, error.error_type)
    finally:
        if os.getpid() != parent:
            os._exit(0)


def _end_with_parent(descriptor: int) -> None:
    def wait() -> None:
        poller = select.poll()
        poller.register(descriptor, 0)  # POLLHUP is always reported, nothing else is asked for
        poller.poll()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


if __name__ == "__main__":
    with contextlib.suppress(EOFError, OSError):
        main(int(sys.argv[1]))
    os._exit(0)
