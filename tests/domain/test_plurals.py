from __future__ import annotations

from floe_monitor.domain.plurals import counted


def test_one_is_no_plural() -> None:
    assert [counted(number, "target") for number in (0, 1, 2)] == ["0 targets", "1 target", "2 targets"]
