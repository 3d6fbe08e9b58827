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


def test_config_shards_says_who_watches_what(call: Any, configure: Any) -> None:
    targets = {f"target-{number}": LAB for number in range(30)}
    configure(targets, shard={"index": {"env": "NOT_SET_HERE"}, "count": 3, "replicas": 2})
    said = call("config", "shards")
    assert said.code == 0
    counts = [int(line.split()[2]) for line in said.out.splitlines()]
    assert len(counts) == 3
    assert sum(counts) == 60
    said = call("config", "shards", "target-7", "target-8")
    assert [line.split(": ")[0] for line in said.out.splitlines()] == ["target-7", "target-8"]
    assert all(len(line.split(": ")[1].split(", ")) == 2 for line in said.out.splitlines())
    assert call("config", "shards", "target-77").code == 2
    assert call("config", "check").code == 0, "whoever checks it is none of its shards"


def test_config_shards_without_shards(call: Any, configure: Any) -> None:
    configure({"lab": LAB})
    said = call("config", "shards")
    assert (said.code, said.out) == (2, "")
    assert "every monitor watches all targets" in said.err
