"""`config check|show|schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pytest

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
LAB = {"plugin": "lab", "connection": {"behave": "healthy"}}


def test_config_check(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY}, profiles=[{"name": "p", "path": "profiles.yml"}])
    said = call("config", "check")
    assert (said.code, said.out) == (0, "ok: 1 target, 1 profile in floe-monitor.yaml\n")


def test_config_show_has_defaults_and_no_secret(
    call: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_PASSWORD", "canary-env")
    configure({"lab": {**LAB, "credentials": {"password": {"env": "LAB_PASSWORD"}}}})
    for words, parse in (
        (("config", "show"), yaml.safe_load),
        (("config", "show", "-f", "json"), json.loads),
    ):
        said = call(*words)
        assert said.code == 0
        shown = parse(said.out)
        assert shown["probe"]["interval"] == 30.0
        assert shown["targets"]["lab"]["credentials"] == {"password": {"env": "LAB_PASSWORD"}}
        assert "canary" not in said.out + said.err


def test_config_schema_is_a_json_schema(call: Any) -> None:
    schema = json.loads(call("config", "schema").out)
    assert "targets" in schema["properties"]


def test_config_check_warns_of_files_that_everybody_may_write(call: Any, configure: Any) -> None:
    configure({"lab": {**LAB, "credentials": {"password": {"file": "password"}}}})
    for name in ("floe-monitor.yaml", "password"):
        Path(name).touch()
        Path(name).chmod(0o666)
    said = call("config", "check")
    assert said.code == 0
    assert said.out.startswith("ok: ")
    assert [line.partition(" (")[0].rpartition("/")[2] for line in said.err.splitlines()[:2]] == [
        "floe-monitor.yaml",
        "warning: everybody may write password",
    ]
    assert "mode 0666" in said.err
