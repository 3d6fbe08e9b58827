"""What the pages are given of the past: beside a writer, before there is one, and of a damaged file."""

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

from .conftest import UNHEALTHY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .conftest import Monitor

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


async def test_hours_and_days_are_what_results_came_to(monitor: Monitor) -> None:
    begun = monitor.at = start_of(monitor.at, DAY) + 5.0
    for _ in range(60):
        monitor.probe("a")
    for _ in range(30):
        monitor.probe("a", UNHEALTHY, duration=0.5)
    monitor.at = begun + HOUR
    monitor.probe("a")
    monitor.at = begun + DAY + 10
    for _ in range(40):
        monitor.probe("a")
        monitor.probe("b", UNHEALTHY, after=0)
    monitor.turn()
    assert monitor.recorder._store is not None
    monitor.recorder._store.rollups.finish_days(monitor.at)
    async with reading(monitor) as past:
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


async def test_maintenance_is_neither_up_nor_down(monitor: Monitor) -> None:
    monitor.at = start_of(monitor.at, HOUR) + 5.0
    monitor.probe("a")
    snapshot = monitor.state.targets["a"]
    monitor.state.targets["a"] = snapshot.with_maintenance(Maintenance(0.0, 2**40, "disks"), 0.0)
    for _ in range(9):
        monitor.probe("a", UNHEALTHY)
    monitor.turn()
    async with reading(monitor) as past:
        [period] = (await past.strips(["a"], "hours"))["a"].periods
    assert period.unhealthy == 0
    assert period.maintenance > period.healthy > 0
    assert period.failed == 0


async def test_what_was_read_is_shown_while_it_is_read_again(
    monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past_module, "FRESH", 0.0)
    monitor.probe("a")
    monitor.turn()
    async with reading(monitor) as past:
        first = (await past.strips(["a"], "hours"))["a"]
        monitor.probe("a", UNHEALTHY, after=90)
        monitor.turn()
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


async def test_memory_is_bounded(monitor: Monitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past_module, "KEPT", 5)
    monitor.probe("a")
    monitor.turn()
    async with reading(monitor) as past:
        for number in range(4):
            names = [f"t{number}-{each}" for each in range(3)]
            assert set(await past.strips(names, "hours")) == set(names)
        assert len(past._known) == 5
