"""`check`: the table, JSON and the exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
MISSING = {"plugin": "duckdb", "connection": {"path": "gone/x.duckdb", "must_exist": True}}
LAB_DEGRADED = {"plugin": "lab", "connection": {"behave": "degraded"}}


def test_check_prints_a_table(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY})
    said = call("check")
    assert said.code == 0, said
    header, row, *_ = said.out.splitlines()
    assert header.split() == ["TARGET", "STATUS", "LATENCY", "CHECKS", "MESSAGE"]
    assert row.split()[:3] == ["dev", "✓", "healthy"]
    assert "✓ connect" in row
    assert "1 target: 1 healthy" in said.out
    assert "\x1b" not in said.out + said.err, "no colour in a pipe"


def test_check_fails_for_the_unhealthy_and_says_why_on_one_line(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "file": MISSING})
    said = call("check")
    assert said.code == 1
    (line,) = [line for line in said.out.splitlines() if line.startswith("file")]
    assert "✕ unhealthy" in line
    assert "does not exist" in line
    assert call("check", "dev").code == 0


def test_strict_counts_the_degraded(call: Any, configure: Any) -> None:
    configure({"lab": LAB_DEGRADED})
    assert call("check").code == 0
    assert call("check", "--strict").code == 1


def test_check_as_json(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "lab": LAB_DEGRADED})
    said = call("check", "--format", "json")
    report = json.loads(said.out)
    assert list(report) == ["format", "ok", "counts", "results"]
    assert report["format"] == 1
    assert report["ok"] is True
    assert report["counts"] == {"healthy": 1, "degraded": 1, "unhealthy": 0}
    assert [result["target"] for result in report["results"]] == ["dev", "lab"]
    assert report["results"][0]["checks"][0]["name"] == "connect"
    assert json.loads(call("check", "--strict", "--format", "json").out)["ok"] is False


def test_an_unknown_target_names_the_nearest(call: Any, configure: Any) -> None:
    configure({"warehouse": MEMORY})
    said = call("check", "warehose")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: no target 'warehose'; did you mean 'warehouse'?\n"


def test_a_missing_plugin_is_unhealthy(call: Any, configure: Any) -> None:
    configure({"shift": {"plugin": "redshift", "connection": {}}})
    said = call("check")
    assert said.code == 1
    assert "no plugin 'redshift' is installed" in said.out
    said = call("config", "check")
    assert said.code == 2
    assert "no plugin 'redshift' is installed" in said.err


def test_a_password_file_with_nul_is_a_fault_of_the_configuration(
    call: Any, configure: Any, place: Path
) -> None:
    (place / "password").write_bytes("password".encode("utf-16-le"))
    configure({"lab": {"plugin": "lab", "credentials": {"password": {"file": "password"}}}})
    said = call("check", "--format", "json")
    assert said.code == 1
    (result,) = json.loads(said.out)["results"]
    assert result["error_type"] == "configuration"
    assert "credentials.password: file password: holds NUL bytes" in result["message"]
