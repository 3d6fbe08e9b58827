"""The same over a real server, shared by two monitors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.history import retention
from floe_monitor.history.rollup import DAY, HOUR, Rollup, merged, start_of

from .conftest import UNHEALTHY, Monitor

if TYPE_CHECKING:
    from conformance.postgres_servers import Cluster

pytestmark = [pytest.mark.process, pytest.mark.gate]


def test_a_server_keeps_the_history_of_several_monitors(server: Cluster) -> None:
    url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
    here, there = Monitor(url), Monitor(url)
    there.recorder._monitor = "there"
    for monitor in (here, there):
        monitor.at = start_of(monitor.at, DAY) - 2 * DAY + 5.0
        for _ in range(50):
            monitor.probe("a")
        monitor.probe("a", UNHEALTHY)
        monitor.turn()
        assert monitor.state.history_problem == ""
        monitor.at += HOUR
        monitor.probe("a")
        monitor.turn()
    assert here.count("results") == 104
    assert merged(Rollup.of_row(row) for row in here.rows("SELECT * FROM hourly")).counts == [100, 0, 2, 0]
    assert here.count("targets") == 1
    assert here.count("monitors") == 2
    store: Any = there.recorder._store
    states, incidents, _ = store.saved_state()
    assert list(states) == ["a"]
    assert incidents == []
    store.rollups.finish_days(there.at + 2 * DAY)
    retention.expire(store.connection, there.settings, there.at + 30 * DAY)
    assert there.count("results") == 0
    assert there.count("transitions") == 6


def test_a_server_that_is_restarted_is_written_again(
    server: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    monitor = Monitor(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    monitor.probe("b")
    monitor.turn()
    server.tool("pg_ctl", "-w", "-m", "immediate", "stop")
    for _ in range(3):
        monitor.probe("b")
        monitor.turn()
    assert monitor.state.history_problem
    server.start()
    monitor.turn()
    assert monitor.state.history_problem == ""
    assert monitor.dropped == 0
    [(kept,)] = monitor.rows(
        "SELECT count(*) FROM results r JOIN targets t ON t.id = r.target WHERE name = 'b'"
    )
    assert kept == 4
