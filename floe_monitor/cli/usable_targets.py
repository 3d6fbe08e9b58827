"""Waiting for targets that dbt can use: for `wait` and `exec`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.cli import startup_collections
from floe_monitor.cli.terminal import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


async def wait_until_usable(
    targets: Sequence[Target], workers: WorkerSettings, timeout: float, interval: float
) -> dict[str, ProbeResult | None]:
    """The targets that were not up (HEALTHY or DEGRADED) once within `timeout` seconds, with their last
    results if there were any.

    Each is tried at its own pace: a hung one delays no other. What changes is noted."""
    import anyio  # noqa: PLC0415 - by the commands that probe alone

    from floe_monitor.cli.report import one_line  # noqa: PLC0415 - as above
    from floe_monitor.probing.oneshot import open_prober  # noqa: PLC0415 - as above

    startup_collections.resume()
    waiting: dict[str, ProbeResult | None] = {target.name: None for target in targets}

    async def watch(target: Target) -> None:
        said = ""
        while True:
            result = await prober.probe(target)
            line = one_line(result)
            if line != said:
                note(line)
                said = line
            if result.status.value != "unhealthy":
                del waiting[target.name]
                return
            waiting[target.name] = result
            await anyio.sleep(interval)

    with open_prober(workers) as prober, anyio.move_on_after(timeout):
        async with anyio.create_task_group() as watches:
            for target in targets:
                watches.start_soon(watch, target, name=f"wait for {target.name}")
    return waiting
