"""`wait`: until targets are up, or time is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from floe_monitor.cli.loading import load_targets, pick
from floe_monitor.cli.reporting import one_line
from floe_monitor.cli.terminal import NO, OK, note, write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


def wait_for_targets(names: Sequence[str], config: Path | None, timeout: float, interval: float) -> int:
    """0 once each has been HEALTHY or DEGRADED once, 1 when the time is over before."""
    import anyio  # noqa: PLC0415 - after the configuration has been found good

    loaded, targets = load_targets(config)
    chosen = pick(targets, names)
    began = time.monotonic()
    waiting = anyio.run(_wait, chosen, loaded.settings.workers, timeout, interval)
    took = time.monotonic() - began
    if not waiting:
        write(f"up after {took:.1f} s: {', '.join(target.name for target in chosen)}")
        return OK
    note(f"not up after {took:.1f} s: {', '.join(sorted(waiting))}")
    return NO


async def _wait(
    targets: Sequence[Target], workers: WorkerSettings, timeout: float, interval: float
) -> set[str]:
    """The names of those that were not up in time. Each target is tried at its own pace: a hung one delays
    no other."""
    import anyio  # noqa: PLC0415 - as above

    from floe_monitor.probing.oneshot import probing  # noqa: PLC0415 - as above

    waiting = {target.name for target in targets}

    async def watch(target: Target) -> None:
        said = ""
        while True:
            result = await prober.probe(target)
            line = one_line(result)
            if line != said:
                note(line)
                said = line
            if result.status.value != "unhealthy":
                waiting.discard(target.name)
                return
            await anyio.sleep(interval)

    with probing(workers) as prober, anyio.move_on_after(timeout):
        async with anyio.create_task_group() as watches:
            for target in targets:
                watches.start_soon(watch, target, name=f"wait for {target.name}")
    return waiting
