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
from floe_monitor.compute.adapt import ContractError, adapt_result, prepare
from floe_monitor.compute.loader import discover
from floe_monitor.compute.models import ErrorType
from floe_monitor.probing.faults import error_type_of, told

if TYPE_CHECKING:
    from floe_monitor.compute.loader import PluginEntry
    from floe_monitor.compute.models import CheckResult
    from floe_monitor.credentials import Resolved


class _StreamingLog(checks.CheckLog):
    """Tells the parent of every check as it begins and ends."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def begin(self, name: str, started_ms: float) -> None:
        super().begin(name, started_ms)
        self._connection.send(("begin", (name, started_ms)))

    def finish(self, result: CheckResult) -> None:
        super().finish(result)
        self._connection.send(("check", result))


def main(descriptor: int) -> None:
    connection = Connection(descriptor)
    _end_with_parent(descriptor)
    address = connection.recv()
    entry = discover().get(address.name, address.distribution)
    if entry.plugin is None:
        connection.send(("unusable", entry.problem))
        return
    connection.send(("ready", None))
    while True:
        try:
            resolved, seconds = connection.recv()
        except EOFError:
            return
        if seconds is None:
            prepare(entry.plugin, resolved.config)
            connection.send(("ready", None))
        else:
            connection.send(_validate(entry, resolved, seconds, connection))


def _validate(
    entry: PluginEntry, resolved: Resolved, seconds: float, connection: Connection
) -> tuple[str, Any]:
    parent, plugin = os.getpid(), entry.plugin
    assert plugin is not None  # noqa: S101 - `main` has seen it
    try:
        with (
            deadline.running_until(deadline.Deadline.after(seconds)),
            checks.recording_into(_StreamingLog(connection)),
        ):
            return "result", adapt_result(plugin.validate_connection(resolved.config), resolved.redactor)
    except BaseException as error:  # noqa: BLE001 - the parent turns whatever it was into a result
        if isinstance(error, ContractError):
            return "error", (str(error), ErrorType.PLUGIN)
        return "error", (told(error, entry.distribution, resolved.redactor), error_type_of(error))
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
