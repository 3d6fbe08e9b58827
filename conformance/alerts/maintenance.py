"""Engines that fail while they are worked on; windows come and go with the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.alerts.monitors import Monitor
    from conformance.alerts.scenario_setup import ScenarioSetup

NOW = {"cron": "* * * * *", "duration": "1h", "reason": "storage is moved", "labels": {"team": "core"}}
MAINTAINED = "floe_compute_target_maintenance{JOB} == 1"
WELL = "floe_compute_target_status{JOB} == 1"
ILL = "floe_compute_target_status{JOB} == 3"


def _begin(setup: ScenarioSetup, monitors: Sequence[Monitor], targets: Mapping[str, Any]) -> None:
    for monitor in monitors:
        monitor.configure(targets, [NOW])
    setup.until_scraped(MAINTAINED, len(monitors))


def outlasted(setup: ScenarioSetup) -> None:
    lake = setup.database()
    targets = {"lake": lake.target}
    monitors = setup.watch(targets, 2)
    _begin(setup, monitors, targets)
    lake.remove()
    setup.until_scraped(ILL, 2)
    setup.sleep(120)
    lake.restore()
    setup.until_scraped(WELL, 2)
    setup.sleep(60)
    lake.remove()
    setup.until_scraped(ILL, 2)
    setup.sleep(120)
    if told := setup.notified():
        raise AssertionError(f"paged in maintenance: {told}")
    setup.fault()
    for monitor in monitors:
        monitor.configure(targets)
    setup.until_paged()
    setup.sleep(60)
    lake.restore()
    setup.mended()
    setup.until_resolved()
    setup.settle()


def begun(setup: ScenarioSetup) -> None:
    lake = setup.database()
    targets = {"lake": lake.target}
    monitors = setup.watch(targets)
    setup.fault()
    lake.remove()
    setup.until_paged()
    _begin(setup, monitors, targets)
    setup.sleep(180)
    lake.restore()
    setup.mended()
    setup.until_resolved()
    lake.remove()
    setup.until_scraped(ILL, 1)
    setup.sleep(120)
    lake.restore()
    setup.until_scraped(WELL, 1)
    setup.settle()
