"""Probes of one target, run as the daemon runs them: in the plugin's own isolation, by its runner."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from floe_monitor.domain.targets import build_targets
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool
from floe_monitor.registry.discovery import PluginEntry, discover
from floe_monitor.settings.models import Settings
from floe_monitor.testing.punctuality import shared_control

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
    """One probe's result, and how late it may be on this machine at that time."""

    result: ProbeResult
    worker_ended: bool
    """By itself or by ending its process, as soon after the deadline as the result may come."""
    allowed: float
    """Seconds after the deadline: the grace, widened by how late a control process was."""

    def is_late(self, timeout: float) -> bool:
        return self.result.duration > timeout + self.allowed


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
        control = shared_control()
        timing = control.begin(time.monotonic() + timeout)
        result = await self._runner.run(attempt, slot, "request")
        if result.duration <= timeout + GRACE and result.worker != "stuck":
            control.drop(timing)
            return Probe(result, worker_ended=True, allowed=GRACE)
        # A process that had to be started first moved the probe's deadline: the machine of now counts too.
        now = control.begin(time.monotonic())
        timings = (timing, now)
        allowed = max([await asyncio.to_thread(control.allowed, each, GRACE) for each in timings])
        ended = result.worker != "stuck" or await _ends(attempt, allowed)
        return Probe(result, ended, allowed)


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
