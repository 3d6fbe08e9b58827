"""Seconds by result add up to the time there was a result, in any order of results and pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.availability import Availability

steps = st.lists(
    st.tuples(st.floats(0, 1e6), st.one_of(st.none(), st.sampled_from(list(ConnectionStatus)))), max_size=30
)
"""How long nothing happened, then a result; None: the last one became too old."""


@given(steps)
def test_every_second_with_a_result_counts_once_and_nothing_ever_decreases(
    walk: list[tuple[float, ConnectionStatus | None]],
) -> None:
    now, expected, availability = 0.0, dict.fromkeys(ConnectionStatus, 0.0), Availability()
    in_force: ConnectionStatus | None = None
    for pause, status in walk:
        now += pause
        if in_force is not None:
            expected[in_force] += pause
        before = {each: availability.seconds(each, now) for each in ConnectionStatus}
        availability = availability.stopped(now) if status is None else availability.after(status, now)
        in_force = status
        after = {each: availability.seconds(each, now) for each in ConnectionStatus}
        assert after == pytest.approx(before, abs=1e-6), "what happens now adds nothing yet"
    got = {each: availability.seconds(each, now) for each in ConnectionStatus}
    assert got == pytest.approx(expected, abs=1e-6)
    assert availability.results == sum(status is not None for _, status in walk)


def test_a_clock_that_is_behind_takes_nothing_away() -> None:
    availability = Availability().after(ConnectionStatus.UNHEALTHY, 10.0)
    assert availability.seconds(ConnectionStatus.UNHEALTHY, 9.0) == 0


maintained_steps = st.lists(
    st.tuples(
        st.floats(0, 1e6), st.one_of(st.none(), st.booleans(), st.sampled_from(list(ConnectionStatus)))
    ),
    max_size=30,
)
"""How long nothing happened; then a result, None (the last one is too old), or maintenance begins or ends."""


@given(maintained_steps)
def test_maintenance_is_counted_apart_and_the_last_result_stands_again_after_it(
    walk: list[tuple[float, ConnectionStatus | bool | None]],
) -> None:
    now, availability = 0.0, Availability()
    expected: dict[ConnectionStatus | None, float] = dict.fromkeys([*ConnectionStatus, None], 0.0)
    latest: ConnectionStatus | None = None
    maintained = False
    for pause, what in walk:
        now += pause
        if maintained:
            expected[None] += pause
        elif latest is not None:
            expected[latest] += pause
        if isinstance(what, bool):
            availability, maintained = availability.in_maintenance(what, now), what
        elif what is None:
            availability, latest = availability.stopped(now), None
        else:
            availability, latest = availability.after(what, now), what
    got: dict[ConnectionStatus | None, float] = {
        each: availability.seconds(each, now) for each in ConnectionStatus
    }
    got[None] = availability.maintenance_seconds(now)
    assert got == pytest.approx(expected, abs=1e-6)
    assert availability.results == sum(isinstance(what, ConnectionStatus) for _, what in walk)
