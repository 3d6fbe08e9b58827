"""`wait`: until targets are up, or time is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from floe_monitor.cli.options import (
    ConfigOption,
    ProfileOption,
    ProfilesOption,
    TargetArguments,
    parse_duration,
)
from floe_monitor.cli.terminal import NO, OK, note, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import WorkerSettings


def wait(
    targets: TargetArguments = None,
    config: ConfigOption = None,
    profiles: ProfilesOption = None,
    profile: ProfileOption = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", "-t", parser=parse_duration, metavar="DURATION", help="Give up after this time."
        ),
    ] = 60.0,
    interval: Annotated[
        float,
        typer.Option("--interval", parser=parse_duration, metavar="DURATION", help="Time between attempts."),
    ] = 1.0,
) -> int:
    """Wait until targets are up (HEALTHY or DEGRADED): a gate for an init container. Exit 1: not in time."""
    import anyio  # by the commands that probe alone

    from floe_monitor.cli.selection import select

    chosen = select(targets or [], config, profiles, profile or [])
    for lost in chosen.unchecked or ():
        note(f"not checked: {lost}")
    if not chosen.targets or (targets and chosen.unchecked):
        return NO  # what is no target will never be up
    from floe_monitor.cli.report import in_maintenance, maintenance_now

    for name, maintenance in maintenance_now(chosen.targets).items():
        note(in_maintenance(name, maintenance))
    began = time.monotonic()
    waiting = anyio.run(_wait, chosen.targets, chosen.workers, timeout, interval)
    took = time.monotonic() - began
    if not waiting:
        write(f"up after {took:.1f} s: {', '.join(target.name for target in chosen.targets)}")
        return OK
    note(f"not up after {took:.1f} s: {', '.join(sorted(waiting))}")
    for name, maintenance in maintenance_now(chosen.targets).items():
        if name in waiting:
            note(in_maintenance(name, maintenance))
    return NO


async def _wait(
    targets: Sequence[Target], workers: WorkerSettings, timeout: float, interval: float
) -> set[str]:
    """The names of those that were not up in time. Each target is tried at its own pace: a hung one delays
    no other."""
    import anyio

    from floe_monitor.cli.report import one_line
    from floe_monitor.probing.oneshot import open_prober

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

    with open_prober(workers) as prober, anyio.move_on_after(timeout):
        async with anyio.create_task_group() as watches:
            for target in targets:
                watches.start_soon(watch, target, name=f"wait for {target.name}")
    return waiting
