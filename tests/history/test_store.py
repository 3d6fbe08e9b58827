"""What is written is what has happened: once, in whatever order, and over a restart."""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy.exc import OperationalError

from floe_monitor.domain.declarations import Announcement, Declarations, OneOffMaintenance
from floe_monitor.domain.events import DeclarationsChanged
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.saved_state import restore
from floe_monitor.history import retention
from floe_monitor.history.rollup import DAY, HOUR, Rollup, merged, start_of

from .conftest import DEGRADED, UNHEALTHY

if TYPE_CHECKING:
    from .conftest import Monitor


def hours(monitor: Monitor, table: str = "hourly") -> Rollup:
    return merged(Rollup.of_row(row) for row in monitor.rows(f"SELECT * FROM {table}"))


def test_results_changes_and_incidents_are_there(monitor: Monitor) -> None:
    monitor.probe("a")
    monitor.probe("a", UNHEALTHY)
    monitor.probe("b", DEGRADED)
    monitor.turn()
    rows = monitor.rows(
        "SELECT t.name, r.status, r.error_type, r.duration FROM results r JOIN targets t ON t.id = r.target "
        "ORDER BY r.at"
    )
    assert [tuple(row) for row in rows] == [
        ("a", 1, None, 10_000),
        ("a", 3, "connection", 10_000),
        ("b", 2, None, 10_000),
    ]
    changes = monitor.rows("SELECT status_before, status_after, lasted, message FROM transitions ORDER BY at")
    assert [tuple(row) for row in changes] == [
        (0, 1, 0, "connection refused"),
        (1, 3, 30_000, "connection refused"),
        (0, 2, 0, "connection refused"),
    ]
    assert monitor.count("incidents") == 2


def test_an_hour_is_one_row_when_it_is_over(monitor: Monitor) -> None:
    monitor.at = start_of(monitor.at, HOUR) + 10.0
    for _ in range(100):
        monitor.probe("a")
    for _ in range(10):
        monitor.probe("a", UNHEALTHY)
    monitor.turn()
    assert monitor.count("hourly") == 0
    monitor.at += HOUR
    monitor.probe("a")
    monitor.turn()
    whole = hours(monitor)
    assert whole.counts == [100, 0, 10, 0]
    # Each result's time counts when the next has come; the first of the failures ends a healthy stretch.
    assert whole.seconds == [3000, 0, 270, 0]
    assert whole.uptime == pytest.approx(3000 / 3270)
    assert whole.latency.quantile(0.95) == pytest.approx(0.01, rel=0.03)


def test_a_process_that_was_killed_loses_nothing_of_its_hour(monitor: Monitor) -> None:
    monitor.at = start_of(monitor.at, HOUR) + 10.0
    for _ in range(20):
        monitor.probe("a")
    monitor.stop()
    monitor.begin_anew()
    for _ in range(20):
        monitor.probe("a")
    monitor.at += HOUR
    monitor.probe("a")
    monitor.turn()
    assert hours(monitor).counts == [40, 0, 0, 0]


def test_a_clock_that_was_set_back_counts_nothing_twice_and_loses_nothing(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    monitor.at = start_of(monitor.at, DAY) + 2 * HOUR + 10.0
    for _ in range(20):
        monitor.probe("a")
    monitor.at += HOUR
    monitor.probe("a")
    monitor.turn()
    assert hours(monitor).counts == [20, 0, 0, 0]
    monitor.at -= 2 * HOUR
    for _ in range(10):
        monitor.probe("a", UNHEALTHY, after=7)
    monitor.turn()
    assert "the clock was set back by" in caplog.text
    assert hours(monitor).counts == [20, 0, 10, 0]
    assert monitor.count("results") == 31
    # The very same moment again: the row that is there stays.
    before = monitor.at
    monitor.probe("a", after=0)
    monitor.at = before
    monitor.turn()
    assert monitor.count("results") == 31


def test_a_day_is_made_of_its_hours(monitor: Monitor) -> None:
    monitor.at = start_of(monitor.at, DAY) - 3 * DAY + 10.0
    for _ in range(2 * DAY // 900):
        monitor.probe("a", after=900)
    monitor.at += DAY
    monitor.probe("a")
    monitor.turn()
    days = monitor.rows("SELECT * FROM daily ORDER BY start")
    assert [row.healthy for row in days] == [96, 96] or sum(row.healthy for row in days) == 192
    assert hours(monitor, "daily").seconds[0] == hours(monitor).seconds[0]


def test_days_are_finished_by_a_machine_that_has_just_started(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 10.0)
    for _ in range(48):
        monitor.probe("a", after=HOUR)
    monitor.turn()
    assert monitor.count("daily") > 0


def test_what_failed_while_days_were_finished_is_tried_again(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = retention.expire
    outcomes = iter([OperationalError("DELETE", {}, sqlite3.OperationalError("database is locked"))])

    def expire(*arguments: Any) -> None:
        for error in outcomes:
            raise error
        usual(*arguments)

    monkeypatch.setattr(retention, "expire", expire)
    monitor.probe("a")
    monitor.turn()
    assert "database is locked" in monitor.state.history_problem
    monitor.at += 90 * DAY
    monitor.turn()
    assert monitor.state.history_problem == ""
    assert monitor.count("results") == 0, "not an hour later"


def test_retention_frees_what_is_old_and_keeps_what_is_for_good(monitor: Monitor) -> None:
    monitor.probe("a", UNHEALTHY)
    for _ in range(100):
        monitor.probe("a", after=HOUR)
    monitor.turn()
    store: Any = monitor.recorder._store
    monitor.at += 30 * DAY
    retention.expire(store.connection, monitor.settings, monitor.at)
    assert monitor.count("results") == 0
    assert monitor.count("hourly") == 100
    monitor.at += 90 * DAY
    retention.expire(store.connection, monitor.settings, monitor.at)
    assert monitor.count("hourly") == 0
    assert monitor.count("transitions") == 2
    assert monitor.count("incidents") == 1
    assert monitor.count("daily") > 0


@pytest.mark.gate
def test_a_file_that_grows_beyond_its_size_gives_up_its_oldest_results(tmp_path: Any) -> None:
    from .conftest import Monitor

    small = Monitor(f"sqlite:///{tmp_path}/history.db", max_megabytes=16)
    small.settings = small.settings.model_copy(update={"max_megabytes": 1})
    for _ in range(4):
        for number in range(20_000):
            small.probe(f"t{number % 50}", after=1.0)
        small.turn()
    store: Any = small.recorder._store
    assert retention.bytes_used(store.connection) > 1_500_000
    retention.expire(store.connection, small.settings, small.at)
    assert retention.bytes_used(store.connection) <= 1_000_000
    [(oldest, newest)] = small.rows("SELECT min(at), max(at) FROM results")
    assert newest == pytest.approx(small.at * 1000, abs=2000)
    assert oldest > newest - 60_000_000
    store.release()


def test_status_and_thresholds_survive_a_restart(monitor: Monitor) -> None:
    for _ in range(3):
        monitor.probe("a", UNHEALTHY)
    monitor.probe("gone", UNHEALTHY)
    monitor.probe("renamed", UNHEALTHY)
    monitor.probe("changed", UNHEALTHY)
    since = monitor.state.targets["a"].since
    monitor.stop()

    from .conftest import Monitor as Another

    later = Another(monitor.url)
    later.at = monitor.at + 60
    later.add("a")
    later.add("changed", fingerprint="otherwise")
    later.state.targets["new name"] = later.state.targets["a"]
    later.add("new name")
    later.turn()
    left = later.recorder.saved_state.result(timeout=1)
    ended = restore(later.state, left.states, left.incidents, later.at)
    snapshot = later.state.targets["a"]
    assert (snapshot.status, snapshot.since) == (HealthStatus.UNKNOWN, 0.0), "nothing is known before a probe"
    assert later.state.targets["changed"].health.status is HealthStatus.UNKNOWN
    later.probe("a", UNHEALTHY)
    snapshot = later.state.targets["a"]
    assert (snapshot.status, snapshot.since) == (HealthStatus.UNHEALTHY, since)
    assert snapshot.health.consecutive_failures == 4
    (incident,) = later.state.incidents.view()
    assert incident.is_open
    assert incident.members["gone"].end == "removed"
    assert len(ended) == 2
    later.turn()
    assert later.count("transitions") == 4, "the same status again is no change"
    later.probe("a")
    later.probe("changed")
    later.turn()
    [(open_ones,)] = later.rows("SELECT count(*) FROM incidents WHERE ended_at IS NULL")
    assert open_ones == 0
    later.stop()


def test_after_a_day_a_target_begins_anew(monitor: Monitor) -> None:
    monitor.probe("a", UNHEALTHY)
    monitor.turn()
    left = monitor.recorder.saved_state.result(timeout=1)
    assert left.states == {}
    store: Any = monitor.recorder._store
    states, *_ = store.saved_state()
    monitor.add("a")
    restore(monitor.state, states, [], monitor.at + 2 * DAY)
    assert monitor.state.targets["a"].health.status is HealthStatus.UNKNOWN


def test_maintenance_is_neither_up_nor_down(monitor: Monitor) -> None:
    monitor.at = start_of(monitor.at, HOUR) + 10.0
    for _ in range(10):
        monitor.probe("a")
    monitor.state.targets["a"] = monitor.state.targets["a"].with_maintenance(
        Maintenance(monitor.at, monitor.at + 600, "upgrade"), 0.0
    )
    for _ in range(20):
        monitor.probe("a", UNHEALTHY)
    monitor.state.targets["a"] = monitor.state.targets["a"].with_maintenance(None, 0.0)
    monitor.at += HOUR
    monitor.probe("a")
    monitor.turn()
    whole = hours(monitor)
    assert whole.counts == [10, 0, 0, 20]
    assert (whole.uptime, whole.total) == (1.0, 10)


def test_what_was_declared_goes_on_after_a_restart(monitor: Monitor) -> None:
    monitor.probe("a")
    one = OneOffMaintenance("one", 1.0, 2.0**33, "disk", "anna", "user anna", 1.0, labels={"team": "core"})
    said = Announcement("said", "tonight", "anna", "user anna", 1.0, 2.0**33, public=True)
    declared = Declarations((one,), (said,))
    monitor.recorder.handle(DeclarationsChanged(Declarations((one,))))
    monitor.recorder.handle(DeclarationsChanged(declared))
    monitor.stop()
    monitor.begin_anew()
    monitor.turn()
    assert monitor.recorder.saved_state.result(timeout=1).declared == declared
    monitor.recorder.handle(DeclarationsChanged(Declarations()))
    monitor.stop()
    monitor.begin_anew()
    monitor.turn()
    assert monitor.recorder.saved_state.result(timeout=1).declared == Declarations()
