"""What is told, and that it is told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.connectivity import Reach
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.shards import Shard, assigned
from tests.notifications.conftest import DEGRADED, HEALTHY, UNHEALTHY

if TYPE_CHECKING:
    from tests.notifications.conftest import World


def test_a_storm_of_one_cause_is_one_message_and_its_end_another(world: World) -> None:
    world.settings["group_wait"] = 10
    world.start()
    for number in range(1000):
        world.add(f"t{number}")
    for number in range(1000):
        world.at += 0.001
        world.probe(f"t{number}")
        if number % 100 == 0:
            world.turn()  # it looks while they fail
    assert world.receiver.seen == []
    for _ in range(30):
        world.passes()
    [told] = world.receiver.taken
    assert told.document["type"] == "floe.unhealthy"
    assert told.document["title"] == "1000 targets are unhealthy: host db:5432"
    [notice] = told.document["notices"]
    assert (notice["targets_total"], len(notice["targets"])) == (1000, 20)
    for number in range(1000):
        world.probe(f"t{number}", HEALTHY)
        if number % 100 == 0:
            world.passes()
    world.passes()
    assert world.receiver.titles[1:] == ["1000 targets are healthy again"]
    world.passes(100)
    assert len(world.receiver.taken) == 2


def test_targets_that_join_later_page_nobody_again(world: World) -> None:
    world.add("a")
    world.add("b")
    world.probe("a")
    world.passes()
    world.probe("b")
    world.passes()
    assert world.receiver.titles == ["a is unhealthy"]
    world.probe("a", HEALTHY)
    world.passes()
    assert len(world.receiver.taken) == 1
    world.probe("b", HEALTHY)
    world.passes()
    assert world.receiver.titles[1:] == ["2 targets are healthy again"]


def test_worse_is_told_and_better_is_not(world: World) -> None:
    world.probe("a", DEGRADED, ErrorType.QUERY)
    world.passes()
    world.probe("a")
    world.passes()
    world.probe("a", DEGRADED, ErrorType.QUERY)
    world.passes()
    world.probe("a", HEALTHY)
    world.passes()
    assert world.receiver.events == ["floe.degraded", "floe.unhealthy", "floe.recovered"]


def test_what_is_over_within_the_wait_is_not_told(world: World) -> None:
    world.settings["group_wait"] = 10
    world.start()
    world.probe("a")
    world.passes(5)
    world.probe("a", HEALTHY)
    world.passes(60)
    assert world.receiver.taken == []


def test_one_that_fails_again_within_the_wait_has_not_recovered(world: World) -> None:
    world.settings["recovery_wait"] = 30
    world.start()
    world.probe("a")
    world.passes()
    for _ in range(5):
        world.probe("a", HEALTHY)
        world.passes(20)
        world.probe("a")
        world.passes(20)
    assert world.receiver.events == ["floe.unhealthy"]
    world.probe("a", HEALTHY)
    world.passes()
    world.passes(30)
    assert world.receiver.events == ["floe.unhealthy", "floe.recovered"]


def test_a_great_incident_is_not_hidden_by_one_of_its_targets(world: World) -> None:
    """One that was told alone and fails again within the wait, now with many others, is told with them."""
    world.settings["recovery_wait"] = 300
    world.start()
    for name in "abcdef":
        world.add(name)
    world.probe("a")
    world.passes()
    world.probe("a", HEALTHY)
    world.passes(130)  # beyond the time within which what fails alike is of the same incident
    for name in "abcdef":
        world.probe(name)
    world.passes()
    world.passes()
    assert world.receiver.titles == ["a is unhealthy", "6 targets are unhealthy: host db:5432"]
    for name in "abcdef":
        world.probe(name, HEALTHY)
    world.passes()
    world.passes(300)
    assert world.receiver.titles[2:] == ["6 targets are healthy again"]


def test_reminders_come_in_time_and_not_while_messages_wait(world: World) -> None:
    world.channels["hook"]["repeat"] = "1h"
    world.start()
    world.probe("a")
    world.passes()
    world.passes(3599)
    assert len(world.receiver.taken) == 1
    world.passes(2)
    assert world.receiver.titles[1:] == ["a is still unhealthy"]
    assert world.receiver.taken[1].document["notices"][0]["reminder"] == 1
    assert max(world.receiver.keys.values()) == 1
    world.receiver.status = 503
    for _ in range(10):
        world.passes(3600)
    assert world.outbox.pending("hook") == 1


def test_without_repeat_there_are_no_reminders(world: World) -> None:
    world.channels["hook"]["repeat"] = None
    world.start()
    world.probe("a")
    for _ in range(10):
        world.passes(86_400)
    assert len(world.receiver.taken) == 1


def test_a_target_in_maintenance_is_not_told_until_that_is_over(world: World) -> None:
    world.add("a")
    snapshot = world.state.targets["a"]
    world.state.targets["a"] = snapshot.with_maintenance(
        Maintenance(world.at, world.at + 600, "upgrade"), 0.0
    )
    world.probe("a")
    world.passes(300)
    assert world.receiver.taken == []
    world.state.targets["a"] = world.state.targets["a"].with_maintenance(None, 600.0)
    world.probe("a")
    world.passes()
    assert world.receiver.titles == ["a is unhealthy"]


def test_channels_hear_what_they_are_for(world: World) -> None:
    world.channels = {
        "down": {"events": ["unhealthy"]},
        "team": {"labels": {"team": "sales"}},
        "one": {"targets": ["b"], "events": ["unhealthy", "degraded"]},
    }
    world.start()
    world.add("a", labels={"team": "sales"})
    world.add("b", labels={"team": "ops"}, host="other")
    for name in ("a", "b"):
        world.probe(name)
        world.passes()
        world.probe(name, HEALTHY)
        world.passes()
    counts = {name: counts.sent for name, counts in world.state.notifications.items()}
    assert counts == {"down": 2, "team": 2, "one": 1}


def test_a_target_that_is_removed_ends_what_was_told(world: World) -> None:
    world.probe("a")
    world.passes()
    world.remove("a")
    world.passes()
    assert world.receiver.titles == ["a is unhealthy", "a is not watched here any more"]


@pytest.mark.parametrize("remembered", [True, False], ids=["with history", "without"])
def test_a_restart_tells_nothing_again(world: World, *, remembered: bool) -> None:
    for name in ("a", "b"):
        world.add(name)
        world.probe(name)
    world.passes()
    assert world.receiver.titles == ["2 targets are unhealthy: host db:5432"]
    world.restart(remembered=remembered)
    world.passes()
    for name in ("a", "b"):
        world.at += 30
        world.probe(name)
        world.passes()
    assert len(world.receiver.taken) == 1
    for name in ("a", "b"):
        world.probe(name, HEALTHY)
        world.passes()
    assert world.receiver.titles[1:] == ["2 targets are healthy again"]


def test_what_began_or_ended_while_nobody_looked_is_told_after(world: World) -> None:
    world.probe("a")
    world.passes()
    world.restart(remembered=False)
    world.probe("a", HEALTHY)
    world.probe("b")
    world.passes()
    assert sorted(world.receiver.titles[1:]) == ["a is healthy again", "b is unhealthy"]


def test_that_the_monitor_is_cut_off_is_told_instead_of_every_target(world: World) -> None:
    world.settings["group_wait"] = 10
    world.start()
    for number in range(20):
        world.probe(f"t{number}")
    world.state.reach = Reach(targets=20, addresses=20, unreached=20, complete=True)
    for _ in range(15):
        world.passes()
    assert world.receiver.titles == ["the monitor is cut off"]
    world.state.reach = Reach(targets=20, addresses=20, unreached=1, complete=True)
    for number in range(1, 20):
        world.probe(f"t{number}", HEALTHY)
    for _ in range(15):
        world.passes()
    assert sorted(world.receiver.titles[1:]) == ["no longer: the monitor is cut off", "t0 is unhealthy"]


def test_who_does_not_hear_of_the_monitor_hears_of_the_targets(world: World) -> None:
    world.channels["hook"]["events"] = ["unhealthy"]
    world.start()
    world.state.reach = Reach(targets=3, addresses=3, unreached=3, complete=True)
    world.probe("a")
    world.passes()
    assert world.receiver.titles == ["a is unhealthy"]


def test_of_shards_that_watch_a_target_the_first_alone_tells(world: World) -> None:
    names = [f"t{number}" for number in range(10)]
    for name in names:
        world.add(name)
    told = []
    for index in range(3):
        world.state.shard = Shard(index, 3, 2)
        world.store = None
        world.start()
        for name in names:
            if world.state.shard.watches(name):
                world.probe(name, UNHEALTHY)
        world.passes()
        told += [name for each in world.receiver.taken for name in each.document["notices"][0]["targets"]]
        world.receiver.taken.clear()
    assert sorted(told) == sorted(names)
    assert all(len(assigned(name, 3, 2)) == 2 for name in names)


def test_one_that_is_told_anew_has_a_key_of_its_own(world: World) -> None:
    """Of two that fail by one cause one comes into maintenance, the other recovers: the incident goes on."""
    for name in ("a", "b"):
        world.add(name)
        world.probe(name)
    snapshot = world.state.targets["b"]
    maintenance = Maintenance(world.at, world.at + 600, "upgrade")
    world.state.targets["b"] = snapshot.with_maintenance(maintenance, 0.0)
    world.passes()
    world.probe("a", HEALTHY)
    world.passes()
    assert world.receiver.titles == ["a is unhealthy: host db:5432", "a is healthy again"]
    assert len(world.state.incidents) == 1
    world.state.targets["b"] = world.state.targets["b"].with_maintenance(None, 600.0)
    world.passes()
    world.probe("b", HEALTHY)
    world.passes()
    assert world.receiver.titles[2:] == ["b is unhealthy", "b is healthy again"]
    assert set(world.receiver.keys.values()) == {1}


def test_a_fault_in_one_channel_silences_no_other(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.channels = {"one": {}, "other": {}}
    world.start()
    world.notifier._channels[0].maker = None  # type: ignore[assignment]
    world.probe("a")
    world.passes()
    assert len(world.receiver.taken) == 1
    assert "failed" in caplog.text
