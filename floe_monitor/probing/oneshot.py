"""Probing without a schedule: for `check` and `wait`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.probing.foreign_output import withholding_output
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.signal_wakeup import waking_on_signals
from floe_monitor.probing.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


class Prober:
    """Probes on request, each target once at a time, within the limits of the workers.

    A hung validation costs the others no slot: its worker is abandoned, and the limits grow by one for each.
    """

    def __init__(self, workers: WorkerSettings) -> None:
        self._limits = workers
        self._pool = WorkerPool(workers.limit, workers.per_plugin)
        self._runner = Runner(self._pool)
        self._abandoned = 0
        self._hanging: dict[str, ProbeResult] = {}

    async def probe(self, target: Target) -> ProbeResult:
        """A result; while the target's last validation hangs, that timeout again."""
        if target.name in self._hanging:
            return self._hanging[target.name]
        attempt = Attempt(target, worker_ended=self._ended)
        if target.entry.plugin is None:
            return self._runner.without_worker(attempt, "request")
        slot = await self._pool.acquire(target.plugin_name)
        try:
            result = await self._runner.run(attempt, slot, "request")
        except MonitorResourceError as shortage:  # whoever asked once is answered once
            return self._runner.without_worker(attempt, "request", str(shortage))
        if result.worker == "stuck":
            self._hanging[target.name] = result
            self._make_room(1)
        return result

    def close(self) -> None:
        """Validations may still hang: the caller ends the process with `os._exit`."""
        self._runner.close()
        self._pool.close()

    def _ended(self, attempt: Attempt) -> None:
        if self._hanging.pop(attempt.target.name, None) is not None:
            self._make_room(-1)

    def _make_room(self, change: int) -> None:
        self._abandoned += change
        self._pool.resize(self._limits.limit + self._abandoned, self._limits.per_plugin + self._abandoned)


@contextmanager
def open_prober(workers: WorkerSettings) -> Iterator[Prober]:
    prober = Prober(workers)
    try:
        with withholding_output(), waking_on_signals():
            yield prober
    finally:
        prober.close()


async def probe_once(
    targets: Sequence[Target], workers: WorkerSettings, on_result: Callable[[ProbeResult], None]
) -> list[ProbeResult]:
    """One result per target, in the order given; `on_result` is called with each as it comes."""
    results: dict[str, ProbeResult] = {}

    async def probe(target: Target) -> None:
        results[target.name] = result = await prober.probe(target)
        on_result(result)

    with open_prober(workers) as prober:
        async with anyio.create_task_group() as probes:
            for target in targets:
                probes.start_soon(probe, target, name=f"probe {target.name}")
    return [results[target.name] for target in targets]
