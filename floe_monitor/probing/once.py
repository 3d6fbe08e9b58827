"""Probing some targets once, without a schedule: for `check` and `wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from floe_monitor.events import ProbeResult
    from floe_monitor.settings.models import WorkerSettings
    from floe_monitor.targets import Target


async def probe_once(
    targets: Sequence[Target], workers: WorkerSettings, on_result: Callable[[ProbeResult], None]
) -> list[ProbeResult]:
    """One result per target, in the order given; `on_result` hears of each as it comes.

    Returns although validations may still hang: their threads are then left behind, and the caller ends the
    process with `os._exit`. A hung validation costs the others no slot.
    """
    pool = WorkerPool(workers.limit, workers.per_plugin)
    runner = Runner(pool)
    results: dict[str, ProbeResult] = {}
    stuck = 0

    async def probe(target: Target) -> None:
        nonlocal stuck
        attempt = Attempt(target)
        if target.entry.plugin is None:
            result = runner.without_worker(attempt, "request")
        else:
            slot = await pool.acquire(target.plugin_name)
            result = await runner.run(attempt, slot, "request")
            if result.worker == "stuck":
                stuck += 1
                pool.resize(workers.limit + stuck, workers.per_plugin + stuck)
        results[target.name] = result
        on_result(result)

    try:
        async with anyio.create_task_group() as probes:
            for target in targets:
                probes.start_soon(probe, target, name=f"probe {target.name}")
    finally:
        runner.close()
        pool.close()
    return [results[target.name] for target in targets]
