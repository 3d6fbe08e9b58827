from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.domain.targets import Target

LAB = Path(__file__).parents[1] / "lab"


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The misbehaving plugin, discoverable here and in children. Hung validations end with the test."""
    monkeypatch.syspath_prepend(str(LAB))
    import floe_monitor_lab  # type: ignore[import-not-found,unused-ignore] # on the path from here on

    floe_monitor_lab.FOREVER.clear()
    floe_monitor_lab.CUT.clear()
    floe_monitor_lab.CALLS.clear()
    floe_monitor_lab.HOOKS.clear()
    yield floe_monitor_lab
    floe_monitor_lab.FOREVER.set()
    sys.modules.pop("floe_monitor_lab", None)


@pytest.fixture
def make_targets(lab: Any) -> Callable[..., dict[str, Target]]:
    """Targets of the lab plugin: `make_targets(name="behaviour", …, timeout=1.0)`."""
    from floe_monitor.domain.targets import build_targets
    from floe_monitor.registry.discovery import discover
    from floe_monitor.settings.models import Settings

    registry = discover()

    def make(
        behaviours: dict[str, str | dict[str, Any]],
        *,
        extra: dict[str, Any] | None = None,
        maintenance: list[dict[str, Any]] | None = None,
        **probe: Any,
    ) -> dict[str, Target]:
        targets = {}
        for name, behaviour in behaviours.items():
            connection = {"behave": behaviour} if isinstance(behaviour, str) else behaviour
            targets[name] = {"plugin": "lab", "connection": connection, **(extra or {})}
        settings = Settings.model_validate(
            {"probe": {"timeout": 5, **probe}, "targets": targets, "maintenance": maintenance or []}
        )
        return build_targets(settings, registry)

    return make


@pytest.fixture
def make_target(make_targets: Callable[..., dict[str, Target]]) -> Callable[..., Target]:
    def make(behaviour: str | dict[str, Any] = "healthy", **more: Any) -> Target:
        return make_targets({"dev": behaviour}, **more)["dev"]

    return make
