"""The arithmetic of ticks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.probing.schedule import Timetable, first_delay, fraction

moments = st.floats(0, 1e7, allow_nan=False)
intervals = st.floats(0.05, 86_400, allow_nan=False)
places = st.floats(0, 1, exclude_max=True)


@given(st.text(), st.text())
def test_a_place_is_stable_and_inside_the_interval(name: str, salt: str) -> None:
    assert 0 <= fraction(name, salt) < 1
    assert fraction(name, salt) == fraction(name, salt)


def test_places_are_spread_evenly() -> None:
    buckets = [0] * 10
    for number in range(10_000):
        buckets[int(fraction(f"target-{number}") * 10)] += 1
    assert min(buckets) > 850
    assert max(buckets) < 1150


def test_replicas_do_not_march_in_step() -> None:
    assert fraction("warehouse", "pod-a") != fraction("warehouse", "pod-b")


@given(moments, intervals, places, moments)
def test_the_next_tick_is_later_and_within_one_interval(
    origin: float, interval: float, place: float, moment: float
) -> None:
    tick = Timetable(origin, interval, place).next_after(moment)
    assert tick > moment
    assert tick - moment <= interval * (1 + 1e-6) + 1e-6


@given(st.floats(0, 1e5), st.floats(0.1, 3600), places, st.floats(0, 1e5))
def test_ticks_keep_their_phase(origin: float, interval: float, place: float, moment: float) -> None:
    table = Timetable(origin, interval, place)
    first = table.next_after(moment)
    assert table.next_after(first) == pytest.approx(first + interval, rel=1e-9, abs=1e-6)


@given(moments, intervals, places, moments)
def test_the_tick_after_the_first_probe_leaves_room(
    origin: float, interval: float, place: float, first: float
) -> None:
    gap = Timetable(origin, interval, place).after_first(first) - first
    assert interval / 2 - 1e-6 <= gap <= interval * 1.5 * (1 + 1e-6) + 1e-6


@given(intervals, st.floats(0, 1e6), st.integers(0, 100))
def test_missed_ticks_are_counted_exactly(interval: float, due: float, turns: int) -> None:
    now = due + (turns + 0.5) * interval
    assert Timetable(0, interval, 0).missed(due, now) == turns


@given(places, intervals, st.integers(1, 100_000))
def test_first_probes_are_spread_within_the_interval(place: float, interval: float, targets: int) -> None:
    assert 0 <= first_delay(place, interval, targets) <= interval


def test_one_target_starts_at_once() -> None:
    assert first_delay(0.999, 30, 1) < 0.01
