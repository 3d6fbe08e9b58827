"""The kit, subclassed for every faulty plugin. Run by test_kit.py, not collected."""

from __future__ import annotations

from typing import Any, ClassVar

import faulty_plugins  # type: ignore[import-not-found] # found on the path that the test sets
import pytest

from floe_monitor.testing import ComputePluginConformance

IMPORTING = "test_importing_is_cheap_and_silent"


def target(mode: str) -> dict[str, Any]:
    return {"connection": {"mode": mode, "port": 7}, "credentials": {"password": faulty_plugins.SECRET}}


class Kit(ComputePluginConformance):
    driver_modules = ("fake_driver",)
    host_key = None
    healthy: ClassVar[dict[str, Any]] = target("up")

    @pytest.fixture
    def broken_configs(self) -> dict[str, Any]:
        return {"down": target("down")}

    @pytest.fixture
    def hanging_config(self) -> dict[str, Any] | None:
        # Half a second each: for those whose deadline is the fault.
        hangs = type(self).__name__ in {"TestSound", "TestDeaf", "TestZeroIsForever", "TestMiscalled"}
        return target("hang") if hangs else None


for _name, _class in faulty_plugins.sound_and_faulty().items():
    _own: dict[str, Any] = {
        "plugin_name": "Shouting" if _name == "shouting" else _name,
        "__module__": __name__,
    }
    if _name not in {"sound", "heavy", "constructing"}:
        # A fresh interpreter for each would take a minute; three are enough to prove this test.
        _own[IMPORTING] = None
    globals()[f"Test{_class.__name__}"] = type(f"Test{_class.__name__}", (Kit,), _own)
