"""What runs in a process of `process_pool`: imports one plugin, then validates on request.

It ends with its parent, with all that it started: a thread polls the connection, which hangs up when the
parent dies or closes it, so that a driver that hangs here cannot outlive the daemon.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import checks, deadline
from floe_monitor.compute.errors import MonitorResourceError, resource_error_in
from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.compute.toolkit import connection_cache
from floe_monitor.probing import process_tree
from floe_monitor.probing.channel import Channel
from floe_monitor.probing.invocation import RaisedError, validate_with
from floe_monitor.probing.process_pool import SHORTAGE_STATUS
from floe_monitor.registry.discovery import discover
from floe_monitor.registry.foreign_plugin import prepare

if TYPE_CHECKING:
    from floe_monitor.compute.models import CheckResult
    from floe_monitor.credentials.resolver import Resolved
    from floe_monitor.registry.discovery import PluginEntry


class _StreamingLog(checks.CheckLog):
    """Sends every check to the parent as it begins and ends."""

    __slots__ = ("_channel", "_number")

    def __init__(self, channel: Channel, number: int) -> None:
        super().__init__()
        self._channel, self._number = channel, number

    def begin(
        self, name: str, started_ms: float, on_timeout: ConnectionStatus = ConnectionStatus.UNHEALTHY
    ) -> None:
        super().begin(name, started_ms, on_timeout)
        self._channel.send((self._number, "begin", self.running))

    def finish(self, result: CheckResult) -> None:
        super().finish(result)
        self._channel.send((self._number, "check", (self.done[-1], self.evidence.noted)))


def main(descriptor: int) -> None:
    process_tree.adopt_orphans()
    channel = Channel(socket.socket(fileno=descriptor))
    _end_with_parent(descriptor)
    # The process may be killed at any time, and serves any target of the plugin: it keeps no connections.
    connection_cache.turn_off()
    address = channel.receive()
    entry = discover().get(address.name, address.distribution)
    if entry.plugin is None:
        channel.send((0, "unusable", entry.problem))
        return
    channel.send((0, "ready", None))
    given: dict[str, str] = {}
    while True:
        number, resolved, seconds, environ = channel.receive()
        given = _replace_environ(given, environ)
        if seconds is None:
            channel.send((number, *_prepare(entry, resolved)))
        else:
            channel.send((number, *_validate(entry, resolved, seconds, _StreamingLog(channel, number))))


def _prepare(entry: PluginEntry, resolved: Resolved) -> tuple[str, str | None]:
    assert entry.plugin is not None  # noqa: S101 - `main` has seen it
    try:
        prepare(entry.plugin, resolved.config)
    except MonitorResourceError as shortage:
        return "shortage", str(shortage)
    return "ready", None


def _replace_environ(former: dict[str, str], environ: dict[str, str]) -> dict[str, str]:
    """Have the environment hold what this target names, and nothing of what the last one did."""
    for name in former.keys() - environ.keys():
        os.environ.pop(name, None)
    os.environ.update(environ)
    return environ


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
    except MonitorResourceError as shortage:
        return "shortage", str(shortage)
    finally:
        if os.getpid() != parent:
            os._exit(0)


def _end_with_parent(descriptor: int) -> None:
    def wait() -> None:
        poller = select.poll()
        poller.register(descriptor, 0)  # POLLHUP is always reported, nothing else is asked for
        poller.poll()
        process_tree.kill_descendants(os.getpid())
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Exception as error:
        if resource_error_in(error) is not None:
            os._exit(SHORTAGE_STATUS)
        if not isinstance(error, EOFError | OSError):
            raise
    os._exit(0)
