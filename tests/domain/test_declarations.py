from __future__ import annotations

from dataclasses import replace

import pytest

from floe_monitor.domain.declarations import Announcement, Declarations, OneOffMaintenance
from floe_monitor.domain.maintenance import Maintenance, maintenance_at, next_change

NOW = 1_795_000_000.0
ONE = OneOffMaintenance("one", NOW, NOW + 3600, "disk", "anna", "user anna", NOW, targets=("a", "b"))
LATER = replace(ONE, id="later", begins_at=NOW + 3000, ends_at=NOW + 7200, reason="more", targets=None)
SAID = Announcement("said", "hello", "anna", "user anna", NOW, NOW + 60)


def test_a_window_holds_from_its_beginning_until_its_end() -> None:
    windows = [ONE.window.window]
    assert maintenance_at(windows, NOW - 0.1) is None
    assert next_change(windows, NOW - 0.1) == NOW
    for at in (NOW, NOW + 3599.9):
        assert maintenance_at(windows, at) == Maintenance(NOW, NOW + 3600, "disk")
        assert next_change(windows, at) == NOW + 3600
    assert maintenance_at(windows, NOW + 3600) is None
    assert next_change(windows, NOW + 3600) is None


def test_those_that_overlap_are_one() -> None:
    windows = [ONE.window.window, LATER.window.window]
    assert maintenance_at(windows, NOW + 10) == Maintenance(NOW, NOW + 7200, "disk")
    assert maintenance_at(windows, NOW + 3100) == Maintenance(NOW, NOW + 7200, "disk; more")


@pytest.mark.parametrize(
    ("change", "name", "applies"),
    [
        ({}, "a", True),
        ({}, "c", False),
        ({"targets": None}, "c", True),
        ({"targets": None, "labels": {"team": "core"}}, "c", True),
        ({"targets": None, "labels": {"team": "core", "tier": "1"}}, "c", False),
    ],
)
def test_of_which_targets_it_is(change: dict[str, object], name: str, applies: bool) -> None:
    assert replace(ONE, **change).window.applies(name, {"team": "core"}) is applies  # type: ignore[arg-type]


def test_what_is_over_is_dropped() -> None:
    declared = Declarations((ONE, LATER), (SAID,))
    assert declared.current(NOW) == declared
    assert declared.current(NOW + 60) == Declarations((ONE, LATER))
    assert declared.current(NOW + 3600) == Declarations((LATER,))
    assert declared.current(NOW + 7200) == Declarations()


def test_ending_one_now() -> None:
    declared = Declarations((ONE, LATER), (SAID,))
    ended = declared.ended("one", NOW + 5)
    assert ended.maintenance == (replace(ONE, ends_at=NOW + 5), LATER)
    assert ended.maintenance[0].state(NOW + 5) == "over"
    assert declared.ended("later", NOW + 5).maintenance == (ONE,), "it had not begun"
    assert declared.ended("said", NOW + 5) == Declarations((ONE, LATER))


def test_those_of_a_former_process_come_before() -> None:
    joined = Declarations((LATER,)).joined(Declarations((ONE, LATER), (SAID,)))
    assert joined == Declarations((ONE, LATER), (SAID,))
