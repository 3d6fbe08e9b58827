"""Probes of one target, run as the daemon runs them: in the plugin's own isolation, by its runner."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from floe_monitor.domain.targets import build_targets
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool
from floe_monitor.registry.discovery import PluginEntry, discover
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.registry.discovery import PluginRegistry

GRACE = 0.1
"""Seconds after the deadline within which a result and its worker must be there."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe's result, and how late the machine itself was meanwhile."""

    result: ProbeResult
    worker_ended: bool
    """By itself or by ending its process, within the grace."""
    lateness: float
    """Seconds by which a thread that slept until the deadline was woken too late: no plugin can do better."""

    def is_late(self, timeout: float) -> bool:
        return self.result.duration > timeout + GRACE + self.lateness


class Prober:
    """Runs probes one after the other. `environ` is where references in a target's keys are looked up.

    `plugin` stands in for the installed one of its name where it is another; it has to run in threads then.
    """

    def __init__(
        self, environ: Mapping[str, str] | None = None, plugin: ComputePlugin[Any] | None = None
    ) -> None:
        self._environ = {**os.environ, **(environ or {})}
        self._registry: PluginRegistry | _Alone = discover()
        if plugin is not None:
            installed = self._registry.get(plugin.name)
            if installed.plugin is not plugin:
                self._registry = _Alone(plugin)
        self._pool = WorkerPool(8, 8)
        self._runner = Runner(self._pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._runner.close()
        self._pool.close()

    async def probe(self, keys: Mapping[str, Any], timeout: float) -> Probe:
        """`keys` are a target's, as in a configuration; `timeout` is the deadline, in seconds."""
        probe = {**keys.get("probe", {}), "timeout": timeout}
        settings = Settings.model_validate({"targets": {"it": {**keys, "probe": probe}}})
        target = build_targets(settings, self._registry, environ=self._environ)["it"]  # type: ignore[arg-type]
        attempt = Attempt(target)
        slot = await self._pool.acquire(target.plugin_name)
        with _Control(timeout) as control:
            result = await self._runner.run(attempt, slot, "request")
            ended = result.worker != "stuck" or await _ends(attempt, GRACE + control.lateness())
            return Probe(result, ended, control.lateness())


async def _ends(attempt: Attempt, seconds: float) -> bool:
    """Whether the worker ends so soon after its deadline."""
    until = time.monotonic() + seconds
    while attempt.outcome is None:
        attempt.changed.clear()
        try:
            await asyncio.wait_for(attempt.changed.wait(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return False
    return True


class _Alone:
    """A registry of one plugin that is not installed."""

    def __init__(self, plugin: ComputePlugin[Any]) -> None:
        self._entry = PluginEntry(plugin.name, None, None, "", plugin, None)

    def get(self, name: str, distribution: str | None = None) -> PluginEntry:  # noqa: ARG002 - the registry's
        return self._entry


class _Control:
    """A thread that does nothing but sleep as long as a probe may take, unless that ends before."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds
        self._lateness = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="control", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def lateness(self) -> float:
        return self._lateness

    def _run(self) -> None:
        if not self._over.wait(self._until - time.monotonic()):
            self._lateness = time.monotonic() - self._until
