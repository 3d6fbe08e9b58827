"""Ends that are near, and the monitor's own problems."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ExpiryKind
from floe_monitor.daemon.notifications import build_notifier, store_of
from floe_monitor.domain.events import ProfileReconciled
from floe_monitor.domain.expiry import WatchedExpiry
from floe_monitor.domain.liveness import Verdict
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.settings.models import Settings
from tests.notifications.conftest import HEALTHY

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.notifications.conftest import World

DAY = 86_400.0


def _end(at: float, what: ExpiryKind = ExpiryKind.SERVER_CERTIFICATE) -> WatchedExpiry:
    return WatchedExpiry(what, at, "", 14 * DAY)


def test_an_end_is_told_when_it_is_near_a_day_before_and_when_it_has_come(world: World) -> None:
    world.add("a", expiries=(_end(world.at + 20 * DAY),))
    for _ in range(25):
        world.passes(DAY)
    assert world.receiver.events == ["floe.expiry"] * 3
    assert "expires in 14 days" in world.receiver.titles[0]
    assert "has expired" in world.receiver.titles[2]
    assert set(world.receiver.keys.values()) == {1}


def test_what_targets_share_ends_for_all_of_them_in_one_message(world: World) -> None:
    for number in range(50):
        world.add(f"t{number}", expiries=(_end(world.at + DAY * 2),))
    world.passes()
    [told] = world.receiver.taken
    assert told.document["notices"][0]["targets_total"] == 50


def test_an_end_is_not_told_again_because_the_monitor_began_anew(world: World) -> None:
    world.add("a", expiries=(_end(world.at + 5 * DAY),))
    world.passes()
    world.restart()
    snapshot = world.state.targets["a"]
    world.state.targets["a"] = replace(snapshot, expiries=())  # nothing is learned yet
    world.passes(61)
    world.probe("a")  # a failed validation has learned nothing either
    world.passes(61)
    world.state.targets["a"] = replace(world.state.targets["a"], expiries=snapshot.expiries)
    world.passes(61)
    assert world.receiver.events.count("floe.expiry") == 1


def test_one_that_was_put_off_is_told_when_it_is_near_again(world: World) -> None:
    world.add("a", expiries=(_end(world.at + 5 * DAY),))
    world.passes()
    world.state.targets["a"] = replace(world.state.targets["a"], expiries=(_end(world.at + 90 * DAY),))
    world.passes(61)
    world.passes(80 * DAY)
    assert world.receiver.events == ["floe.expiry", "floe.expiry"]


def test_a_token_that_is_always_near_its_end_is_told_of_once_a_day(world: World) -> None:
    world.add("a")
    for _ in range(47):
        ends = (_end(world.at + 3600 * 2, ExpiryKind.TOKEN),)
        world.state.targets["a"] = replace(world.state.targets["a"], expiries=ends)
        world.passes(3600)
    assert len(world.receiver.taken) == 2


def test_ends_are_not_told_in_maintenance_nor_where_nobody_asked(world: World) -> None:
    world.channels = {"quiet": {"events": ["unhealthy"]}, "all": {}}
    world.start()
    world.add("a", expiries=(_end(world.at + DAY),))
    plain = world.state.targets["a"]
    world.state.targets["a"] = plain.with_maintenance(Maintenance(world.at, world.at + DAY, ""), 0.0)
    world.passes()
    assert world.receiver.taken == []
    world.state.targets["a"] = plain
    world.passes(61)
    assert {name: counts.sent for name, counts in world.state.notifications.items()} == {"quiet": 0, "all": 1}


def test_the_monitors_own_problems_are_told_and_their_end(world: World) -> None:
    world.settings |= {"group_wait": 10, "recovery_wait": 10}
    world.start()
    world.verdict = Verdict(("the scheduler has made no progress for 15.1 s",))
    world.state.history_problem = "the disk is full"
    world.state.profiles["p"] = ProfileReconciled("p", "refused", world.at, "no YAML")
    config = world.state.config
    world.state.config = replace(config, problems=("floe-monitor.yaml:3: unknown key", "another"))
    for _ in range(11):
        world.passes()
    assert sorted(world.receiver.titles) == [
        "dbt's profiles are not kept in step",
        "the monitor goes on with its former configuration",
        "the monitor itself is ill",
        "the monitor keeps no history",
    ]
    texts = "\n".join(each.document["text"] for each in world.receiver.taken)
    for words in (
        "no progress",
        "the disk is full",
        "profile p is not kept: no YAML",
        "unknown key (and 1 more)",
    ):
        assert words in texts
    world.verdict, world.state.config, world.state.history_problem = Verdict(), config, ""
    world.state.profiles.clear()
    world.passes()
    world.restart()
    for _ in range(120):
        world.passes()
    ended = list(world.receiver.taken[4:])
    assert sum(each.document["notices_total"] for each in ended) == 4
    assert set(world.receiver.keys.values()) == {1}


def test_a_problem_of_a_moment_is_not_told(world: World) -> None:
    world.settings["group_wait"] = 10
    world.start()
    world.state.history_problem = "locked"
    world.passes(5)
    world.state.history_problem = ""
    world.passes(30)
    assert world.receiver.taken == []


# ------------------------------------------------------------ how it is put together


def _settings(**more: object) -> Settings:
    webhook = {"url": "http://127.0.0.1:1/", "secret": {"env": "S"}}
    channels = {"hook": {"webhook": webhook}}
    return Settings.model_validate({"notifications": {"channels": channels}, **more})


def test_pods_that_do_not_know_of_one_another_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    state, kubernetes = MonitorState(0, ConfigStatus(0, 0)), {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    build_notifier(_settings(), state, kubernetes, Verdict)
    assert "DaemonSet" in caplog.text
    caplog.clear()
    build_notifier(_settings(), state, {}, Verdict)
    build_notifier(_settings(shard={"count": 2, "index": 0}), state, kubernetes, Verdict)
    assert caplog.text == ""


def test_without_channels_there_is_nothing() -> None:
    assert build_notifier(Settings(), MonitorState(0, ConfigStatus(0, 0)), {}, Verdict) is None


def test_where_the_outbox_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    beside = _settings(history={"url": f"sqlite:///{tmp_path}/h/history.db"})
    own = Settings.model_validate({"notifications": {"outbox": "x/own.db"}})
    assert [
        store_of(settings, environ).name
        for settings, environ in (
            (beside, {}),
            (own, {}),
            (_settings(), {"STATE_DIRECTORY": "/var/lib/floe"}),
            (_settings(), {}),
        )
    ] == [
        f"{tmp_path}/h/notifications.db",
        f"{tmp_path}/x/own.db",
        "/var/lib/floe/notifications.db",
        f"{tmp_path}/var/notifications.db",
    ]


def test_healthy_targets_cost_no_message(world: World) -> None:
    world.probe("a", HEALTHY)
    world.passes()
    assert world.receiver.seen == []
