"""What happens to monitors, while the target that they watch is ill, or well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.alerts.stage import ALL_DOWN, DOWN, ISOLATED

if TYPE_CHECKING:
    from conformance.alerts.monitors import Monitor
    from conformance.alerts.stage import Stage

KILLED = 240.0
"""Seconds between the death of a monitor and its return."""


# ---------------------------------------------------------------- monitors that die while a target is ill


def killed(stage: Stage, count: int, dying: int, *, recovers: bool) -> None:
    lake = stage.database()
    monitors = stage.watch({"lake": lake.target}, count)
    stage.fault()
    lake.remove()
    stage.until_paged()
    stage.sleep(30)
    for monitor in monitors[:dying]:
        monitor.kill()
    stage.sleep(KILLED)
    if recovers:
        lake.restore()
        stage.mended()
    for monitor in monitors[:dying]:
        monitor.start()
    if not recovers:
        stage.sleep(120)
        lake.restore()
        stage.mended()
    stage.until_resolved()
    for alert in (DOWN, ALL_DOWN):
        stage.until_resolved(alert)
    stage.settle()


def rolled(stage: Stage) -> None:
    lake = stage.database()
    [old] = stage.watch({"lake": lake.target})
    stage.fault()
    lake.remove()
    stage.until_paged()
    stage.sleep(30)
    stage.discover()
    old.stop()
    stage.sleep(50)
    new = stage.monitor({"lake": lake.target})
    stage.replace(new)
    stage.sleep(120)
    lake.restore()
    stage.mended()
    stage.until_resolved()
    stage.settle()


# ---------------------------------------------------------------- monitors alone


def never_started(stage: Stage) -> None:
    dead = stage.monitor({"lake": stage.database().target})
    stage.fault()
    stage.discover(dead)
    stage.until_paged(ALL_DOWN)
    stage.sleep(300)


def never_started_beside_another(stage: Stage) -> None:
    target = {"lake": stage.database().target}
    [living] = stage.watch(target)
    dead = stage.monitor(target)
    stage.fault()
    stage.discover(living, dead)
    stage.until_paged(DOWN)
    stage.sleep(300)


def crash_loop(stage: Stage) -> None:
    """Up for 14 seconds, down for 14, from its start on; then it stays up."""
    target = {"lake": stage.database().target}
    [living] = stage.watch(target)
    looping = stage.monitor(target)
    stage.fault()
    stage.discover(living, looping)
    began = time.monotonic()
    while time.monotonic() - began < stage.clock.seconds(420):
        looping.start()
        stage.sleep(14)
        looping.kill()
        stage.sleep(14)
    stage.until_paged(DOWN)
    looping.start()
    stage.mended()
    stage.until_resolved(DOWN)
    stage.settle()


def one_after_the_other(stage: Stage) -> None:
    monitors = stage.watch({"lake": stage.database().target}, 2)
    stage.fault()
    for monitor in monitors:
        monitor.kill()
        stage.sleep(90)
    stage.until_paged(ALL_DOWN)
    stage.sleep(60)
    for monitor in monitors:
        monitor.start()
    stage.mended()
    for alert in (ALL_DOWN, DOWN):
        stage.until_resolved(alert)
    stage.settle()


def cut_off(stage: Stage) -> None:
    """The third node has its own way to the four engines, and that is cut."""
    names = ("north", "east", "south", "west")
    common = [stage.database(name) for name in names]
    own = [stage.database(f"{name}-by-the-third") for name in names]
    views = [common, common, own]
    monitors: list[Monitor] = [
        stage.monitor({name: lake.target for name, lake in zip(names, view, strict=True)}) for view in views
    ]
    stage.begin(*monitors)
    stage.fault()
    for lake in own:
        lake.remove()
    stage.until_paged(ISOLATED)
    stage.sleep(180)
    for lake in own:
        lake.restore()
    stage.mended()
    stage.until_resolved(ISOLATED)
    stage.settle()
