"""What windows come to, held against a brute look at every occurrence."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.domain.maintenance import Maintenance, Window, maintenance_at, next_change
from floe_monitor.settings.recurrence import Recurrence

BEGIN = 1_800_000_000.0
"""On a minute."""
HOUR = 3600.0

window = st.builds(
    lambda minute, every, duration, reason: Window(
        Recurrence(f"{minute}-59/{every} * * * *", "UTC"), duration, reason
    ),
    st.integers(0, 59), st.integers(5, 60), st.integers(60, 5000).map(float), st.sampled_from(["", "a", "b"]),
)  # fmt: skip
windows = st.lists(window, min_size=1, max_size=3).map(tuple)


def occurrences(window: Window, begin: float, end: float) -> list[tuple[float, float]]:
    found, moment = [], begin - window.duration
    while (at := window.recurrence.after(moment)) is not None and at <= end:
        found.append((at, at + window.duration))
        moment = at
    return found


@given(windows, st.floats(0, 6 * HOUR))
def test_it_holds_exactly_while_an_occurrence_does(some: tuple[Window, ...], offset: float) -> None:
    at = BEGIN + offset
    held = [
        (w, b, e) for w in some for b, e in occurrences(w, BEGIN - HOUR, BEGIN + 12 * HOUR) if b <= at < e
    ]
    maintenance = maintenance_at(some, at)
    assert (maintenance is not None) == bool(held)
    if maintenance is not None:
        assert maintenance.since == min(begin for _, begin, _ in held)
        assert set(maintenance.reason.split("; ")) - {""} == {w.reason for w, _, _ in held} - {""}


@given(windows, st.floats(0, 6 * HOUR), st.floats(0, 1))
def test_until_its_end_it_lasts_without_a_gap(some: tuple[Window, ...], offset: float, place: float) -> None:
    at = BEGIN + offset
    maintenance = maintenance_at(some, at)
    if maintenance is None:
        return
    assert maintenance.until > at
    # Moments of a calendar are exact to the microsecond, and what is added is rounded.
    between = max(at, min(at + place * (maintenance.until - at), maintenance.until - 0.001))
    assert maintenance_at(some, between) is not None


@given(windows, st.floats(0, 6 * HOUR), st.floats(0, 1))
def test_between_two_changes_nothing_begins_or_ends(
    some: tuple[Window, ...], offset: float, place: float
) -> None:
    at = BEGIN + offset
    change = next_change(some, at)
    assert change is not None
    assert change > at
    between = min(at + place * (change - at), change - 1e-3)
    if between <= at:
        return
    assert (maintenance_at(some, between) is None) == (maintenance_at(some, at) is None)


def test_windows_that_adjoin_are_one_maintenance() -> None:
    night = Window(Recurrence("0 22 * * *", "UTC"), 2 * HOUR, "backup")
    morning = Window(Recurrence("0 0 * * *", "UTC"), 3 * HOUR, "vacuum")
    midnight = datetime(2026, 12, 2, tzinfo=ZoneInfo("UTC")).timestamp()
    before = maintenance_at((night, morning), midnight - HOUR)
    assert before == Maintenance(midnight - 2 * HOUR, midnight + 3 * HOUR, "backup")
    assert maintenance_at((night, morning), midnight) == Maintenance(midnight, midnight + 3 * HOUR, "vacuum")
    assert maintenance_at((night, morning), midnight + 3 * HOUR) is None


def test_one_without_end_is_looked_for_a_bounded_time() -> None:
    always = (Window(Recurrence("* * * * *", "UTC"), HOUR),)
    found = [maintenance_at(always, BEGIN + 600 * n) for n in range(5)]
    assert all(each is not None and each.until > BEGIN + HOUR for each in found)
    ends = [each.until for each in found if each is not None]
    assert all(earlier < later for earlier, later in pairwise(ends))


def test_it_lasts_its_time_whatever_the_clocks_do() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    night = (Window(Recurrence("0 1 * * *", "Europe/Berlin"), 4 * HOUR),)
    for day, end in (((2026, 3, 29), 6), ((2026, 10, 25), 4), ((2026, 7, 1), 5)):
        begin = datetime(*day, 1, tzinfo=berlin).timestamp()
        maintenance = maintenance_at(night, begin)
        assert maintenance is not None
        assert maintenance.until - maintenance.since == 4 * HOUR
        assert datetime.fromtimestamp(maintenance.until, berlin).hour == end
