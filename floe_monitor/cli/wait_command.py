"""`wait`: until targets are up, or time is."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from floe_monitor.cli.options import (
    ConfigOption,
    ProfileOption,
    ProfilesOption,
    TargetArguments,
    parse_duration,
)
from floe_monitor.cli.terminal import NO, OK, note, write


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
    from floe_monitor.cli.usable_targets import wait_until_usable

    chosen = select(targets or [], config, profiles, profile or [])
    for lost in chosen.unchecked or ():
        note(f"not checked: {lost}")
    if not chosen.targets or (targets and chosen.unchecked):
        return NO  # what is no target will never be up
    from floe_monitor.cli.known_maintenance import KnownMaintenance, in_maintenance

    known = KnownMaintenance(chosen)
    for name, maintenance in known.now().items():
        note(in_maintenance(name, maintenance))
    began = time.monotonic()
    waiting = anyio.run(wait_until_usable, chosen.targets, chosen.workers, timeout, interval)
    took = time.monotonic() - began
    if not waiting:
        write(f"up after {took:.1f} s: {', '.join(target.name for target in chosen.targets)}")
        return OK
    note(f"not up after {took:.1f} s: {', '.join(sorted(waiting))}")
    for name, maintenance in known.now().items():
        if name in waiting:
            note(in_maintenance(name, maintenance))
    return NO
