"""The outages of the replay: what happens to engines and monitors, and who is to be paged how often."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.stage import UNHEALTHY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.alerts.monitors import Monitor
    from conformance.alerts.stage import Stage

DOWN, ALL_DOWN, ISOLATED = "FloeMonitorDown", "FloeMonitorsAllDown", "FloeMonitorIsolated"
BURNING = "FloeTargetBudgetBurning"
TARGETS_RESOLVE, MONITORS_RESOLVE = 60.0, 360.0
KILLED = 240.0
_PASSWORD = "REPLAY_PASSWORD"  # noqa: S105 - a variable's name
_ENVIRONMENT = {_PASSWORD: postgres_servers.PASSWORD}


@dataclass(frozen=True, slots=True)
class Scenario:
    """`pages` is how often whoever is on call is told of which alert, `left` what is open at the end.

    `timed` is the alert whose times are measured; they are bounded where the clocks are real.
    """

    name: str
    play: Callable[[Stage], None]
    pages: Mapping[str, int]
    timed: str = UNHEALTHY
    left: frozenset[str] = frozenset()
    resolves_within: float = TARGETS_RESOLVE
    pages_within: float | None = 75.0
    warnings: Mapping[str, int] = field(default_factory=Counter)

    @property
    def job(self) -> str:
        return "floe-" + "-".join("".join(c if c.isalnum() else " " for c in self.name.lower()).split())


def _settle(stage: Stage) -> None:
    """Time enough for a second page to come, if there is one."""
    stage.sleep(90)


# ---------------------------------------------------------------- engines


def _server_stopped(stage: Stage) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        stage.watch({"warehouse": _postgres(cluster.port)}, 2, _ENVIRONMENT)
        stage.fault()
        cluster.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        stage.until_paged()
        stage.sleep(60)
        cluster.start()
        stage.mended()
        stage.until_resolved()
        _settle(stage)
    finally:
        cluster.remove()


def _password_expired(stage: Stage) -> None:
    cluster = postgres_servers.launch(postgres_servers.embedded(), {})
    try:
        stage.watch({"warehouse": _postgres(cluster.port)}, 1, _ENVIRONMENT)
        stage.fault()
        cluster.execute("ALTER ROLE dbt VALID UNTIL '2001-01-01'")
        stage.until_paged()
        [page] = [each for each in stage.notified() if each.firing]
        if "authentication" not in page.annotations["summary"]:
            raise AssertionError(f"the page does not say why: {page.annotations['summary']}")
        stage.sleep(60)
        cluster.execute("ALTER ROLE dbt VALID UNTIL 'infinity'")
        stage.mended()
        stage.until_resolved()
        _settle(stage)
    finally:
        cluster.remove()


def _postgres(port: int) -> dict[str, object]:
    connection = {"host": "127.0.0.1", "port": port, "user": "dbt", "dbname": "analytics", "schema": "marts"}
    return {"plugin": "postgres", "connection": connection, "credentials": {"password": {"env": _PASSWORD}}}


def _file_spoilt(stage: Stage) -> None:
    lake = stage.database()
    stage.watch({"lake": lake.target})
    stage.fault()
    lake.spoil()
    stage.until_paged()
    stage.sleep(60)
    lake.restore()
    stage.mended()
    stage.until_resolved()
    _settle(stage)


def _half_fails(stage: Stage) -> None:
    """Every other probe, from one to the next; the target's threshold of two hides it from its status."""
    lake = stage.database()
    target = {**lake.target, "probe": {"failure_threshold": 2}}
    [monitor] = stage.watch({"lake": target})
    over = threading.Event()

    def alternate() -> None:
        last, there = monitor.last_probe("lake"), True
        while not over.wait(0.05):
            now = monitor.last_probe("lake")
            if now and now != last:
                (lake.remove if there else lake.restore)()
                last, there = now, not there

    thread = threading.Thread(target=alternate, name="alternate")
    stage.fault()
    thread.start()
    try:
        stage.until_paged(BURNING)
        stage.sleep(180)
    finally:
        over.set()
        thread.join()


# ---------------------------------------------------------------- the configuration


def _removed(stage: Stage) -> None:
    lake, other = stage.database(), stage.database("other")
    monitors = stage.watch({"lake": lake.target, "other": other.target}, 2)
    stage.fault()
    lake.remove()
    stage.until_paged()
    for monitor in monitors:
        monitor.configure({"other": other.target})
    stage.mended()
    stage.until_resolved()
    _settle(stage)


def _renamed(stage: Stage) -> None:
    lake = stage.database()
    [monitor] = stage.watch({"lake": lake.target})
    stage.fault()
    lake.remove()
    stage.until_paged()
    stage.mended()
    monitor.configure({"shore": lake.target})
    _until(
        stage,
        lambda: (
            {each.labels.get("target"): each.firing for each in stage.notified()}
            == {"lake": False, "shore": True}
        ),
    )
    lake.restore()
    stage.mended()
    stage.until_resolved()
    _settle(stage)


def _until(stage: Stage, condition: Callable[[], bool]) -> None:
    stage._await(condition, "the old name is resolved, the new one paged")  # noqa: SLF001 - of the same part


# ---------------------------------------------------------------- monitors that die while a target is ill


def _killed(stage: Stage, count: int, killed: int, *, recovers: bool) -> None:
    lake = stage.database()
    monitors = stage.watch({"lake": lake.target}, count)
    stage.fault()
    lake.remove()
    stage.until_paged()
    stage.sleep(30)
    for monitor in monitors[:killed]:
        monitor.kill()
    stage.sleep(KILLED)
    if recovers:
        lake.restore()
        stage.mended()
    for monitor in monitors[:killed]:
        monitor.start()
    if not recovers:
        stage.sleep(120)
        lake.restore()
        stage.mended()
    stage.until_resolved()
    for alert in (DOWN, ALL_DOWN):
        stage.until_resolved(alert)
    _settle(stage)


def _rolled(stage: Stage) -> None:
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
    _settle(stage)


# ---------------------------------------------------------------- monitors alone


def _never_started(stage: Stage) -> None:
    dead = stage.monitor({"lake": stage.database().target})
    stage.fault()
    stage.discover(dead)
    stage.until_paged(ALL_DOWN)
    stage.sleep(300)


def _never_started_beside_another(stage: Stage) -> None:
    target = {"lake": stage.database().target}
    [living] = stage.watch(target)
    dead = stage.monitor(target)
    stage.fault()
    stage.discover(living, dead)
    stage.until_paged(DOWN)
    stage.sleep(300)


def _crash_loop(stage: Stage) -> None:
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
    _settle(stage)


def _one_after_the_other(stage: Stage) -> None:
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
    _settle(stage)


def _cut_off(stage: Stage) -> None:
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
    _settle(stage)


SCENARIOS = (
    Scenario("Engine stopped and back, two monitors", _server_stopped, {UNHEALTHY: 1}),
    Scenario("Password expired and renewed", _password_expired, {UNHEALTHY: 1}),
    Scenario("File replaced by junk and restored", _file_spoilt, {UNHEALTHY: 1}),
    Scenario(
        "Every other probe fails", _half_fails, {BURNING: 1}, BURNING, frozenset({BURNING}), pages_within=600
    ),
    Scenario("Target removed while it fires, two monitors", _removed, {UNHEALTHY: 1}),
    Scenario("Target renamed while it fires", _renamed, {UNHEALTHY: 2}),
    Scenario(
        "Lone monitor killed for 4 minutes while it fires",
        lambda stage: _killed(stage, 1, 1, recovers=False), {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario(
        "The same, and the engine recovers meanwhile",
        lambda stage: _killed(stage, 1, 1, recovers=True), {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario(
        "One of two monitors killed for 4 minutes while it fires",
        lambda stage: _killed(stage, 2, 1, recovers=False), {UNHEALTHY: 1, DOWN: 1},
    ),
    Scenario(
        "Both killed for 4 minutes while it fires",
        lambda stage: _killed(stage, 2, 2, recovers=False), {UNHEALTHY: 1, ALL_DOWN: 1},
    ),
    Scenario("Pod rolled while it fires, nobody for 50 s", _rolled, {UNHEALTHY: 1}),
    Scenario(
        "Never started", _never_started, {ALL_DOWN: 1}, ALL_DOWN, frozenset({ALL_DOWN}), pages_within=120
    ),
    Scenario(
        "Never started, beside one that lives", _never_started_beside_another, {DOWN: 1}, DOWN,
        frozenset({DOWN}), pages_within=120,
    ),
    Scenario(
        "Crash loop from the start, beside one that lives", _crash_loop, {DOWN: 1}, DOWN,
        resolves_within=MONITORS_RESOLVE, pages_within=300,
    ),
    Scenario(
        "Two monitors die 90 s apart, both return", _one_after_the_other, {DOWN: 1, ALL_DOWN: 1}, DOWN,
        resolves_within=MONITORS_RESOLVE, pages_within=120,
    ),
    Scenario(
        "One node of three cut off, four targets", _cut_off, {ISOLATED: 1}, ISOLATED,
        resolves_within=240, pages_within=120,
    ),
)  # fmt: skip
