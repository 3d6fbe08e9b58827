"""Targets enter maintenance and leave it when windows say so, on a clock that the test sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.declarations import Declarations, OneOffMaintenance
from floe_monitor.domain.events import MaintenanceBegan, MaintenanceEnded
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.state import ConfigStatus, MonitorState, TargetSnapshot
from floe_monitor.probing.maintenance import AT_ONCE, MaintenanceKeeper
from tests.probing.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Event
    from floe_monitor.domain.targets import Target

    MakeTargets = Callable[..., dict[str, Target]]

TWO_O_CLOCK = 1_795_226_400.0
HOUR = 3600.0
NIGHTLY = {"cron": "0 2 * * *", "duration": "1h", "reason": "backup"}
ALWAYS = {"cron": "* * * * *", "duration": "1h", "reason": "move"}


class Kept:
    """A keeper over a state, and what it has told."""

    def __init__(self, targets: dict[str, Target], now: float) -> None:
        self.now = now
        self.events: list[Event] = []
        self.state = MonitorState(0.0, ConfigStatus(0, 0))
        self.keeper = MaintenanceKeeper(self.state, self.events.append, lambda: self.now, lambda: self.now)
        self.apply(targets)

    def apply(self, targets: dict[str, Target]) -> None:
        self.state.targets = {name: TargetSnapshot(target) for name, target in targets.items()}
        self.keeper.apply()

    def at(self, now: float) -> set[str]:
        """Who is in maintenance then."""
        self.now = now
        while not self.keeper.turn():
            pass
        return {name for name, each in self.state.targets.items() if each.maintenance is not None}


def test_each_window_is_told_once_when_it_begins_and_once_when_it_ends(make_targets: MakeTargets) -> None:
    both = make_targets({"a": "healthy", "b": "healthy"}, maintenance=[NIGHTLY])
    kept = Kept({**both, **make_targets({"c": "healthy"})}, TWO_O_CLOCK - HOUR)
    assert kept.at(TWO_O_CLOCK - 0.1) == set()
    assert not kept.events
    for second in range(4):
        assert kept.at(TWO_O_CLOCK + second) == {"a", "b"}
    assert kept.events == [MaintenanceBegan(("a", "b"), "backup", TWO_O_CLOCK + HOUR)]
    assert kept.at(TWO_O_CLOCK + HOUR - 0.1) == {"a", "b"}
    for second in range(4):
        assert kept.at(TWO_O_CLOCK + HOUR + second) == set()
    assert kept.events[1:] == [MaintenanceEnded(("a", "b"), "backup", TWO_O_CLOCK, TWO_O_CLOCK + HOUR)]
    assert kept.at(TWO_O_CLOCK + 24 * HOUR) == {"a", "b"}


def test_a_monitor_that_starts_within_a_window_knows_it_at_once(make_targets: MakeTargets) -> None:
    kept = Kept(make_targets({"a": "healthy"}, maintenance=[NIGHTLY]), TWO_O_CLOCK + 60)
    assert kept.state.targets["a"].maintenance is not None
    assert len(kept.events) == 1


def test_a_reload_changes_windows_at_once_and_tells_nobody_twice(make_targets: MakeTargets) -> None:
    kept = Kept(make_targets({"a": "healthy", "b": "healthy"}, maintenance=[NIGHTLY]), TWO_O_CLOCK + 60)
    kept.apply(make_targets({"a": "unhealthy", "b": "healthy", "c": "healthy"}, maintenance=[NIGHTLY]))
    assert [each.targets for each in kept.events if isinstance(each, MaintenanceBegan)] == [
        ("a", "b"),
        ("c",),
    ]
    kept.apply(make_targets({"b": "healthy", "c": "healthy"}))
    assert kept.at(TWO_O_CLOCK + 61) == set()
    [ended] = [each for each in kept.events if isinstance(each, MaintenanceEnded)]
    assert ended.targets == ("b", "c")


def test_a_clock_that_is_set_back_is_followed(make_targets: MakeTargets) -> None:
    kept = Kept(make_targets({"a": "healthy"}, maintenance=[NIGHTLY]), TWO_O_CLOCK + 60)
    assert kept.at(TWO_O_CLOCK - 60) == set()
    assert kept.at(TWO_O_CLOCK) == {"a"}


def test_thousands_are_changed_a_thousand_at_a_time_and_told_in_one(make_targets: MakeTargets) -> None:
    targets = make_targets({"t": "healthy"}, maintenance=[NIGHTLY])
    [target] = targets.values()
    kept = Kept({f"t{n}": target for n in range(3 * AT_ONCE)}, TWO_O_CLOCK - 1)
    kept.now = TWO_O_CLOCK
    turns = 1
    while not kept.keeper.turn():
        turns += 1
        assert not kept.events
    assert turns == 3
    [began] = kept.events
    assert isinstance(began, MaintenanceBegan)
    assert len(began.targets) == 3 * AT_ONCE


async def test_a_target_in_maintenance_is_probed_and_judged_as_ever(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    windows = {"maintenance": [ALWAYS]}
    async with monitor.watching(make_targets({"dev": "unhealthy"}, interval=0.1, **windows)):
        await monitor.until(lambda: len(monitor.results("dev")) >= 3)
        snapshot = monitor.state.targets["dev"]
        assert snapshot.status is HealthStatus.UNHEALTHY
        assert snapshot.maintenance is not None
        assert snapshot.availability.seconds(ConnectionStatus.UNHEALTHY, 1e12) == 0
        count = len(monitor.results("dev"))
        changes = monitor.scheduler.apply(make_targets({"dev": "unhealthy"}, interval=0.1))
        assert changes.unchanged == ("dev",), "windows change without a restart of probes"
        snapshot = monitor.state.targets["dev"]
        assert snapshot.maintenance is None
        assert snapshot.status is HealthStatus.UNHEALTHY
        assert len(snapshot.history) == count
        await monitor.until(lambda: len(monitor.results("dev")) >= count + 2)
        [began] = [each for each in monitor.events if isinstance(each, MaintenanceBegan)]
        assert began.targets == ("dev",)


async def test_the_loop_ends_a_window_by_itself(make_targets: MakeTargets, monkeypatch: Any) -> None:
    monitor = Monitor()
    now = TWO_O_CLOCK + HOUR - 1
    monkeypatch.setattr(monitor.scheduler._maintenance, "_wall", lambda: now)
    async with monitor.watching(make_targets({"dev": "healthy"}, interval=600, maintenance=[NIGHTLY])):
        await monitor.until(lambda: monitor.state.targets["dev"].maintenance)
        now += 2
        await monitor.until(lambda: monitor.state.targets["dev"].maintenance is None)


def test_what_is_declared_holds_from_the_next_turn_on_and_ends_early(make_targets: MakeTargets) -> None:
    kept = Kept(make_targets({"a": "healthy", "b": "healthy"}), TWO_O_CLOCK)
    assert kept.at(TWO_O_CLOCK) == set()
    one = OneOffMaintenance("one", TWO_O_CLOCK, TWO_O_CLOCK + HOUR, "disk", "anna", "user anna", 0.0, ("a",))
    kept.state.declared = Declarations((one,))
    assert kept.at(TWO_O_CLOCK + 1) == {"a"}
    assert kept.events == [MaintenanceBegan(("a",), "disk", TWO_O_CLOCK + HOUR)]
    kept.state.declared = kept.state.declared.ended("one", TWO_O_CLOCK + 60)
    assert kept.at(TWO_O_CLOCK + 60) == set()
    assert kept.events[1:] == [MaintenanceEnded(("a",), "disk", TWO_O_CLOCK, TWO_O_CLOCK + 60)]
    assert kept.at(TWO_O_CLOCK + HOUR) == set()
    assert len(kept.events) == 2


def test_what_is_declared_for_later_begins_then_and_survives_a_reload(make_targets: MakeTargets) -> None:
    targets = make_targets({"a": "healthy"}, maintenance=[NIGHTLY])
    kept = Kept(targets, TWO_O_CLOCK - HOUR)
    start = TWO_O_CLOCK + HOUR / 2
    later = OneOffMaintenance("later", start, start + HOUR, "disk", "anna", "user anna", 0.0)
    kept.state.declared = Declarations((later,))
    assert kept.at(TWO_O_CLOCK - 1) == set()
    assert kept.at(TWO_O_CLOCK) == {"a"}
    maintenance = kept.state.targets["a"].maintenance
    assert maintenance is not None
    assert maintenance.until == start + HOUR, "the window of the configuration runs into it"
    kept.apply(make_targets({"a": "healthy", "b": "healthy"}))
    assert kept.at(start) == {"a", "b"}
    assert kept.at(start + HOUR) == set()
