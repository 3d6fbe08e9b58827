"""Has plugins close what they keep, in threads that are there before they are needed: at a limit on threads
the stop could not have one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.worker_thread import WorkerThread
from floe_monitor.registry.foreign_plugin import shut_down

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.compute.toolkit.worker_thread import Call


class PluginClosers:
    """The plugins that were used in this process, each with its thread."""

    def __init__(self) -> None:
        self._closers: dict[int, _Closer] = {}

    def note_used(self, plugin: ComputePlugin) -> None:
        """In a worker, before the plugin is first called, so that what is begun can be ended.

        Raises `MonitorResourceError` where there is no thread for it.
        """
        if id(plugin) in self._closers:
            return
        made = _Closer(plugin)
        if self._closers.setdefault(id(plugin), made) is not made:  # another worker was faster
            made.abandon()

    def retire(self, wanted: Iterable[ComputePlugin]) -> None:
        """Close every plugin but these, without waiting."""
        keep = {id(plugin) for plugin in wanted}
        for key in [key for key in self._closers if key not in keep]:
            self._closers.pop(key).close()

    def close(self, seconds: float) -> None:
        """Close all, and wait for at most so long."""
        until = time.monotonic() + seconds
        for ending in [closer.close() for closer in self._closers.values()]:
            ending.done.wait(max(0.0, until - time.monotonic()))


class _Closer:
    def __init__(self, plugin: ComputePlugin) -> None:
        self._plugin = plugin
        self._thread = WorkerThread("shutdown", "closing what a plugin keeps")

    def close(self) -> Call[None]:
        ending = self._thread.submit(lambda: shut_down(self._plugin))
        self._thread.end()
        return ending

    def abandon(self) -> None:
        self._thread.end()
