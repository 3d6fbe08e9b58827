"""Which target is due when, over every order of ticks, changes of pace and reloads."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.probing.due_queue import SUPERSEDED_KEPT, DueQueue, Watched
from floe_monitor.probing.schedule import Timetable

intervals = st.floats(0.05, 86_400, allow_nan=False)
places = st.floats(0, 1, exclude_max=True)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(0, 9), st.floats(0.001, 100)),
        st.tuples(st.just("pass"), st.just(0), st.floats(0, 50)),
        st.tuples(st.just("drop"), st.integers(0, 9), st.just(0.0)),
    ),
    max_size=200,
)


def watched(interval: float = 30.0, failing: float | None = None, place: float = 0.5) -> Watched:
    """With as much of a target as the schedule reads."""
    policy = SimpleNamespace(interval=interval, failing_interval=interval if failing is None else failing)
    return Watched.begin(cast("Any", SimpleNamespace(policy=policy)), 0.0, place, 0.0)


@given(steps)
def test_each_is_due_once_at_the_time_put_last(walk: list[tuple[str, int, float]]) -> None:
    queue, some, now = DueQueue(), [watched() for _ in range(10)], 0.0
    expected: dict[int, float] = {}
    for what, number, amount in walk:
        if what == "put":
            queue.put(some[number], now + amount)
            expected[number] = now + amount
        elif what == "drop":
            queue.keep(lambda each, dropped=some[number]: each is not dropped)  # type: ignore[misc]
            some[number] = watched()
            expected.pop(number, None)
        else:
            now += amount
            came = [(at, some.index(each)) for at, each in queue.due(now)]
            assert [at for at, _ in came] == sorted(at for at, _ in came)
            assert sorted((number, at) for at, number in came) == sorted(
                (number, at) for number, at in expected.items() if at <= now
            )
            expected = {number: at for number, at in expected.items() if at > now}
        assert queue.pause(now, 1e9) <= min(expected.values(), default=1e9 + now) - now


@given(st.integers())
def test_superseded_entries_do_not_accumulate(seed: int) -> None:
    queue, some, chance = DueQueue(), [watched() for _ in range(3)], random.Random(seed)
    for _ in range(500):
        queue.put(chance.choice(some), chance.uniform(1, 1e6))
        assert len(queue) <= 2 * (3 + SUPERSEDED_KEPT) + 2


@given(intervals, intervals, places, st.floats(0, 1e6))
def test_a_change_of_pace_keeps_the_place_and_leaves_room(
    interval: float, failing: float, place: float, now: float
) -> None:
    each = watched(interval, failing, place)
    due = each.change_pace(HealthStatus.UNHEALTHY, ConnectionStatus.UNHEALTHY, now)
    if due is None:
        assert interval == failing
        return
    shorter = min(interval, failing)
    assert each.timetable.interval == failing
    assert each.timetable.fraction == place, "targets that fail at once stay spread"
    assert shorter / 2 - 1e-6 <= due - now <= (shorter / 2 + failing) * (1 + 1e-6) + 1e-6
    assert each.timetable.next_after(due) - due <= failing * (1 + 1e-6) + 1e-6
    assert each.change_pace(HealthStatus.DEGRADED, ConnectionStatus.DEGRADED, now) is None
    back = each.change_pace(HealthStatus.HEALTHY, ConnectionStatus.HEALTHY, now)
    assert back is not None
    assert each.timetable == Timetable(0.0, interval, place)
    assert shorter / 2 - 1e-6 <= back - now <= (shorter / 2 + interval) * (1 + 1e-6) + 1e-6


def test_the_failing_pace_lasts_until_status_and_result_are_healthy() -> None:
    each = watched(60, 5)
    healthy, failing = HealthStatus.HEALTHY, ConnectionStatus.UNHEALTHY
    assert each.change_pace(healthy, failing, 0) is not None, "a threshold hides it from the status yet"
    assert each.change_pace(HealthStatus.UNHEALTHY, ConnectionStatus.HEALTHY, 0) is None
    assert each.change_pace(HealthStatus.UNKNOWN, ConnectionStatus.HEALTHY, 0) is None
    assert each.change_pace(healthy, ConnectionStatus.HEALTHY, 0) is not None
    assert each.timetable.interval == 60


def test_without_an_interval_of_its_own_there_is_one_timetable() -> None:
    each = watched(60)
    assert each.usual is each.failing
