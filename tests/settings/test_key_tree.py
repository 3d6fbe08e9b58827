from __future__ import annotations

from typing import Any

import pytest

from floe_monitor.settings.key_tree import annotation_at, known_keys
from floe_monitor.settings.models import ProfileSettings, Settings


@pytest.mark.parametrize(
    ("path", "annotation"),
    [
        (("shutdown_grace",), float),
        (("workers", "stuck_limit"), int),
        (("profiles",), list[ProfileSettings]),
        (("profiles", 0), ProfileSettings),
        (("profiles", 0, "target"), str),
        (("targets", "any", "connection"), dict[str, Any]),
        (("targets", "any", "connection", "path"), Any),
        (("targets", "any", "unknown"), None),
        (("targets", "any", "labels", "tier"), str),
        (("no", "such", "place"), None),
        (("shutdown_grace", "below"), None),
    ],
)
def test_what_may_stand_where(path: tuple[str | int, ...], annotation: object) -> None:
    assert annotation_at(Settings, path) == annotation


def test_the_keys_of_a_mapping() -> None:
    assert known_keys(Settings, ("reload",)) == ["watch", "poll_interval"]
    assert "plugin" in known_keys(Settings, ("targets", "any"))
    assert known_keys(Settings, ("targets",)) == []
    assert known_keys(Settings, ("shutdown_grace",)) == []
