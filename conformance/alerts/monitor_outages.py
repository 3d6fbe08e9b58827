"""What happens to monitors, while the target that they watch is ill, or well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from conformance.alerts.scenario_setup import ALL_DOWN, DOWN, ISOLATED

if TYPE_CHECKING:
    from conformance.alerts.monitors import Monitor
    from conformance.alerts.scenario_setup import ScenarioSetup

KILLED = 240.0
"""Seconds between the death of a monitor and its return."""


# ---------------------------------------------------------------- monitors that die while a target is ill


def killed(setup: ScenarioSetup, count: int, dying: int, *, recovers: bool) -> None:
    lake = setup.database()
    monitors = setup.watch({"lake": lake.target}, count)
    setup.fault()
    lake.remove()
    setup.until_paged()
    setup.sleep(30)
    for monitor in monitors[:dying]:
        monitor.kill()
    setup.sleep(KILLED)
    if recovers:
        lake.restore()
        setup.mended()
    for monitor in monitors[:dying]:
        monitor.start()
    if not recovers:
        setup.sleep(120)
        lake.restore()
        setup.mended()
    setup.until_resolved()
    for alert in (DOWN, ALL_DOWN):
        setup.until_resolved(alert)
    setup.settle()


def rolled(setup: ScenarioSetup) -> None:
    lake = setup.database()
    [old] = setup.watch({"lake": lake.target})
    setup.fault()
    lake.remove()
    setup.until_paged()
    setup.sleep(30)
    setup.discover()
    old.stop()
    setup.sleep(50)
    new = setup.monitor({"lake": lake.target})
    setup.replace(new)
    setup.sleep(120)
    lake.restore()
    setup.mended()
    setup.until_resolved()
    setup.settle()


# ---------------------------------------------------------------- monitors alone


def never_started(setup: ScenarioSetup) -> None:
    dead = setup.monitor({"lake": setup.database().target})
    setup.fault()
    setup.discover(dead)
    setup.until_paged(ALL_DOWN)
    setup.sleep(300)


def never_started_beside_another(setup: ScenarioSetup) -> None:
    target = {"lake": setup.database().target}
    [living] = setup.watch(target)
    dead = setup.monitor(target)
    setup.fault()
    setup.discover(living, dead)
    setup.until_paged(DOWN)
    setup.sleep(300)


def crash_loop(setup: ScenarioSetup) -> None:
    """Up for 14 seconds, down for 14, from its start on; then it stays up."""
    target = {"lake": setup.database().target}
    [living] = setup.watch(target)
    looping = setup.monitor(target)
    setup.fault()
    setup.discover(living, looping)
    began = time.monotonic()
    while time.monotonic() - began < setup.clock.seconds(420):
        looping.start()
        setup.sleep(14)
        looping.kill()
        setup.sleep(14)
    setup.until_paged(DOWN)
    looping.start()
    setup.mended()
    setup.until_resolved(DOWN)
    setup.settle()


def one_after_the_other(setup: ScenarioSetup) -> None:
    monitors = setup.watch({"lake": setup.database().target}, 2)
    setup.fault()
    for monitor in monitors:
        monitor.kill()
        setup.sleep(90)
    setup.until_paged(ALL_DOWN)
    setup.sleep(60)
    for monitor in monitors:
        monitor.start()
    setup.mended()
    for alert in (ALL_DOWN, DOWN):
        setup.until_resolved(alert)
    setup.settle()


def cut_off(setup: ScenarioSetup) -> None:
    """The third node has its own way to the four engines, and that is cut."""
    names = ("north", "east", "south", "west")
    common = [setup.database(name) for name in names]
    own = [setup.database(f"{name}-by-the-third") for name in names]
    views = [common, common, own]
    monitors: list[Monitor] = [
        setup.monitor({name: lake.target for name, lake in zip(names, view, strict=True)}) for view in views
    ]
    setup.begin(*monitors)
    setup.fault()
    for lake in own:
        lake.remove()
    setup.until_paged(ISOLATED)
    setup.sleep(180)
    for lake in own:
        lake.restore()
    setup.mended()
    setup.until_resolved(ISOLATED)
    setup.settle()
