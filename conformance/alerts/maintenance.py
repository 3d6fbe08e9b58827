"""Engines that fail while they are worked on; windows come and go with the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from conformance.alerts.monitors import Monitor
    from conformance.alerts.stage import Stage

NOW = {"cron": "* * * * *", "duration": "1h", "reason": "storage is moved", "labels": {"team": "core"}}
MAINTAINED = "floe_compute_target_maintenance{JOB} == 1"
WELL = "floe_compute_target_status{JOB} == 1"
ILL = "floe_compute_target_status{JOB} == 3"


def _begin(stage: Stage, monitors: Sequence[Monitor], targets: Mapping[str, Any]) -> None:
    for monitor in monitors:
        monitor.configure(targets, [NOW])
    stage.until_scraped(MAINTAINED, len(monitors))


def outlasted(stage: Stage) -> None:
    lake = stage.database()
    targets = {"lake": lake.target}
    monitors = stage.watch(targets, 2)
    _begin(stage, monitors, targets)
    lake.remove()
    stage.until_scraped(ILL, 2)
    stage.sleep(120)
    lake.restore()
    stage.until_scraped(WELL, 2)
    stage.sleep(60)
    lake.remove()
    stage.until_scraped(ILL, 2)
    stage.sleep(120)
    if told := stage.notified():
        raise AssertionError(f"paged in maintenance: {told}")
    stage.fault()
    for monitor in monitors:
        monitor.configure(targets)
    stage.until_paged()
    stage.sleep(60)
    lake.restore()
    stage.mended()
    stage.until_resolved()
    stage.settle()


def begun(stage: Stage) -> None:
    lake = stage.database()
    targets = {"lake": lake.target}
    monitors = stage.watch(targets)
    stage.fault()
    lake.remove()
    stage.until_paged()
    _begin(stage, monitors, targets)
    stage.sleep(180)
    lake.restore()
    stage.mended()
    stage.until_resolved()
    lake.remove()
    stage.until_scraped(ILL, 1)
    stage.sleep(120)
    lake.restore()
    stage.until_scraped(WELL, 1)
    stage.settle()
