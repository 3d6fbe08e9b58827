"""Which configuration is taken, and how its faults are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}


def test_without_a_configuration_it_tells_where_it_looked(call: Any) -> None:
    said = call("check")
    assert said.code == 2
    assert "floe-monitor.yaml" in said.err
    assert "/etc/floe-monitor/floe-monitor.yaml" in said.err
    assert "Traceback" not in said.err
    said = call("check", "--config", "elsewhere.yaml")
    assert said.code == 2
    assert "elsewhere.yaml" in said.err


def test_the_configuration_is_found(call: Any, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    path = configure({"dev": MEMORY}, name="other.yaml")
    assert call("check", "-c", str(path)).code == 0
    monkeypatch.setenv("FLOE_MONITOR_CONFIG", str(path))
    assert call("check").code == 0


def test_faults_of_the_configuration_have_a_place(call: Any, configure: Any) -> None:
    path = configure({"dev": {"plugin": "duckdb", "conection": {}}})
    for words in (("check",), ("config", "check"), ("wait", "dev"), ("run",), ("profiles", "diff")):
        said = call(*words)
        assert said.code == 2, words
        assert said.out == ""
        assert f"{path.name}:" in said.err
        assert "conection" in said.err
        assert "Traceback" not in said.err
