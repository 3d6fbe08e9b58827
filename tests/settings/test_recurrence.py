"""Moments of cron expressions, held against every minute of the days in which clocks change."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.settings.recurrence import Recurrence, zone

BERLIN, ADELAIDE = "Europe/Berlin", "Australia/Adelaide"
DAY = 86_400.0


def local(moment: float | None, name: str = BERLIN) -> str:
    assert moment is not None
    return datetime.fromtimestamp(moment, ZoneInfo(name)).isoformat(" ", "minutes")


def at(text: str, name: str = BERLIN, *, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(name), fold=fold).timestamp()


def moments(recurrence: Recurrence, begin: float, end: float) -> list[float]:
    found: list[float] = []
    while (following := recurrence.after(found[-1] if found else begin)) is not None and following <= end:
        found.append(following)
    return found


@given(
    st.integers(0, 59), st.integers(0, 23), st.sampled_from([BERLIN, ADELAIDE, "America/New_York", "UTC"]),
    st.integers(0, 364),
)  # fmt: skip
def test_a_time_of_the_day_comes_once_a_day_whatever_the_clocks_do(
    minute: int, hour: int, name: str, day: int
) -> None:
    """Told by walking through the day minute by minute of real time."""
    tz = zone(name)
    midnight = datetime(2026, 1, 1, tzinfo=tz) + timedelta(days=day)
    following = (midnight + timedelta(days=1)).timestamp()
    minutes = [midnight.timestamp() + 60 * n for n in range(int((following - midnight.timestamp()) // 60))]
    clock = [datetime.fromtimestamp(each, tz) for each in minutes]
    reached = [
        when
        for when, shown in zip(minutes, clock, strict=True)
        if (shown.hour, shown.minute) >= (hour, minute)
    ]
    [found] = moments(Recurrence(f"{minute} {hour} * * *", name), midnight.timestamp() - 1, following - 1)
    assert found == reached[0]


def test_where_clocks_are_put_forward_a_skipped_time_comes_when_they_are() -> None:
    nightly = Recurrence("30 2 * * *", BERLIN)
    days = [local(each) for each in moments(nightly, at("2026-03-28T00:00"), at("2026-03-31T00:00"))]
    assert days == ["2026-03-28 02:30+01:00", "2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]


def test_where_clocks_are_put_back_a_doubled_time_comes_once() -> None:
    nightly = Recurrence("30 2 * * *", BERLIN)
    days = [local(each) for each in moments(nightly, at("2026-10-24T00:00"), at("2026-10-27T00:00"))]
    assert days == ["2026-10-24 02:30+02:00", "2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]
    second_pass = at("2026-10-25T02:10", fold=1)
    assert local(nightly.after(second_pass)) == "2026-10-26 02:30+01:00", "never a moment of the past"


def test_every_hour_goes_by_time_that_passes() -> None:
    hourly = moments(Recurrence("0 * * * *", BERLIN), at("2026-10-25T00:30"), at("2026-10-25T04:30"))
    assert [later - earlier for earlier, later in pairwise(hourly)] == [3600.0] * 4


fields = st.sampled_from(
    ["*", "0", "1", "5", "10", "*/7", "1-5", "0,3,6", "L", "5#2", "MON", "sun", "JAN", "7"]
)


@given(st.lists(fields, min_size=5, max_size=5), st.floats(0, 4e9), st.sampled_from([BERLIN, "UTC"]))
def test_moments_are_later_and_on_the_minute(parts: list[str], moment: float, name: str) -> None:
    try:
        recurrence = Recurrence(" ".join(parts), name)
    except ValueError:
        return
    found = recurrence.after(moment)
    assert found is not None
    assert found > moment
    assert found % 60 == 0


@given(st.text(alphabet="0123456789*/,-#LWabcMONJAN \n\x00é٣", max_size=200) | st.text(max_size=200))
def test_whatever_else_is_refused_by_a_value_error(text: str) -> None:
    try:
        Recurrence(text, "UTC")
    except ValueError:
        return
    assert re.fullmatch(r"[\w*/,#\-\s]+", text)


@pytest.mark.parametrize(
    ("expression", "name", "said"),
    [
        ("* * * *", "UTC", "must have five fields: minute, hour, day of month, month, day of week"),
        ("0 * * * * *", "UTC", "must have five fields"),
        ("@daily", "UTC", "must have five fields"),
        ("60 * * * *", "UTC", "a field that cron does not know: minute"),
        ("0 0 31 2 *", "UTC", "a field that cron does not know: day of month"),
        ("0 0 * * 8", "UTC", "a field that cron does not know: day of the week"),
        ("0 0 " + "1," * 100 + "1 * *", "UTC", "is longer than 128 characters"),
        ("0 0 * * *", "Europe/Berln", "is no time zone; did you mean 'Europe/Berlin'?"),
        ("0 0 * * *", "../../etc/passwd", "is no time zone"),
        ("0 0 * * *", "Europe", "is no time zone"),
        ("0 0 * * *", "", "is no time zone"),
    ],
)
def test_what_is_wrong_is_said(expression: str, name: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        Recurrence(expression, name)


def test_utc_needs_no_database() -> None:
    assert zone("UTC") is UTC
