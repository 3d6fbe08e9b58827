"""What the pages are given of the past: beside a writer of a file or a server, before there is one, and of a
damaged file."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.maintenance import Maintenance
from floe_monitor.domain.uptime import uptime
from floe_monitor.history import past as past_module
from floe_monitor.history.past import HistoryPast
from floe_monitor.history.rollup import DAY, HOUR, start_of
from floe_monitor.settings.history_models import HistoryUrl

from .conftest import UNHEALTHY, Monitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from conformance.postgres_servers import Cluster

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine takes longer than a page waits."""
    monkeypatch.setattr(past_module, "WAIT", PATIENCE)
    monkeypatch.setattr(past_module, "PAUSE", 0.01)


@asynccontextmanager
async def reading(monitor: Monitor) -> AsyncIterator[HistoryPast]:
    past = HistoryPast(HistoryUrl(plain=monitor.url), {}, clock=lambda: monitor.at)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(past.run)
        yield past
        tasks.cancel_scope.cancel()


async def test_hours_and_days_are_what_results_came_to(anywhere: Monitor) -> None:
    begun = anywhere.at = start_of(anywhere.at, DAY) + 5.0
    for _ in range(60):
        anywhere.probe("a")
    for _ in range(30):
        anywhere.probe("a", UNHEALTHY, duration=0.5)
    anywhere.at = begun + HOUR
    anywhere.probe("a")
    anywhere.at = begun + DAY + 10
    for _ in range(40):
        anywhere.probe("a")
        anywhere.probe("b", UNHEALTHY, after=0)
    anywhere.turn()
    assert anywhere.recorder._store is not None
    anywhere.recorder._store.rollups.finish_days(anywhere.at)
    async with reading(anywhere) as past:
        found = await past.strips(["a", "b", "never"], "hours")
        assert [period.start for period in found["a"].periods] == [
            start_of(begun, HOUR), start_of(begun, HOUR) + HOUR, start_of(begun, DAY) + DAY,
        ]  # fmt: skip
        first, _, last = found["a"].periods
        assert (first.healthy, first.unhealthy) == (1800, 870)
        assert last.failed == 0
        assert last.healthy == pytest.approx(39 * 30, abs=31)
        assert found["b"].uptime == 0
        assert found["never"].periods == ()
        assert found["never"].uptime is None
        days = (await past.strips(["a"], "days"))["a"]
        assert [period.start for period in days.periods] == [start_of(begun, DAY), start_of(begun, DAY) + DAY]
        # The last failure stands for a quarter of an hour: what came after it was not watched.
        assert days.periods[0].unhealthy == 870 + 900
        assert past.since == start_of(begun, HOUR)
        whole = await past.target("a")
        assert whole is not None
        assert uptime(whole.days) == days.uptime
        assert whole.hours[0].p50 == pytest.approx(0.01, rel=0.03)
        assert whole.hours[0].p95 == pytest.approx(0.5, rel=0.03)
        assert [change.after for change in whole.changes] == [
            HealthStatus.HEALTHY, HealthStatus.UNHEALTHY, HealthStatus.HEALTHY,
        ]  # fmt: skip
        assert (await past.target("never")) is not None


async def test_maintenance_is_neither_up_nor_down(anywhere: Monitor) -> None:
    anywhere.at = start_of(anywhere.at, HOUR) + 5.0
    anywhere.probe("a")
    snapshot = anywhere.state.targets["a"]
    anywhere.state.targets["a"] = snapshot.with_maintenance(Maintenance(0.0, 2**40, "disks"), 0.0)
    for _ in range(9):
        anywhere.probe("a", UNHEALTHY)
    anywhere.turn()
    async with reading(anywhere) as past:
        [period] = (await past.strips(["a"], "hours"))["a"].periods
    assert period.unhealthy == 0
    assert period.maintenance > period.healthy > 0
    assert period.failed == 0


async def test_what_was_read_is_shown_while_it_is_read_again(
    anywhere: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_module, "FRESH", 0.0)
    anywhere.probe("a")
    anywhere.turn()
    async with reading(anywhere) as past:
        first = (await past.strips(["a"], "hours"))["a"]
        anywhere.probe("a", UNHEALTHY, after=90)
        anywhere.turn()
        assert (await past.strips(["a"], "hours"))["a"] is first, "at once"
        with anyio.fail_after(PATIENCE):
            while (await past.strips(["a"], "hours"))["a"].periods == first.periods:  # noqa: ASYNC110 - as below
                await anyio.sleep(0.01)


async def test_a_page_waits_a_moment_at_most(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads here, as where a server does not answer."""
    monkeypatch.setattr(past_module, "WAIT", 0.01)
    past = HistoryPast(HistoryUrl(plain=monitor.url), {})
    assert await past.strips(["a"], "days") == {}
    assert await past.target("a") is None
    assert past.since is None


async def test_it_is_tried_again_until_it_can_be_read(monitor: Monitor, tmp_path: Path) -> None:
    (tmp_path / "history.db").write_bytes(b"no database" * 1000)
    async with reading(monitor) as past:
        with anyio.move_on_after(0.2):
            await past.strips(["a"], "hours")
        (tmp_path / "history.db").unlink()
        monitor.probe("a")
        monitor.turn()
        with anyio.fail_after(PATIENCE):
            while not await past.strips(["a"], "hours"):  # noqa: ASYNC110 - the thread says nothing of it
                await anyio.sleep(0.01)


async def test_memory_is_bounded(anywhere: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "KEPT", 5)
    anywhere.probe("a")
    anywhere.turn()
    async with reading(anywhere) as past:
        for number in range(4):
            names = [f"t{number}-{each}" for each in range(3)]
            assert set(await past.strips(names, "hours")) == set(names)
        assert len(past._known) == 5


@pytest.mark.process
@pytest.mark.gate
async def test_a_server_that_is_not_there_costs_the_pages_their_past_alone(
    server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monitor = Monitor(f"postgresql://postgres@127.0.0.1:{server.port}/postgres")
    monitor.probe("a")
    monitor.turn()
    monkeypatch.setattr(past_module, "FRESH", 0.0)
    async with reading(monitor) as past:
        first = (await past.strips(["a"], "hours"))["a"]
        server.tool("pg_ctl", "-w", "-m", "immediate", "stop")
        assert (await past.strips(["a"], "hours"))["a"] is first
        server.start()
        monitor.probe("a", UNHEALTHY, after=90)
        monitor.turn()  # finds its connection gone
        monitor.turn()
        with anyio.fail_after(PATIENCE):
            while (await past.strips(["a"], "hours"))["a"].periods == first.periods:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.01)
