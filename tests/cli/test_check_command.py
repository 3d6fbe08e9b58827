"""`check`: the table, JSON and the exit status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest

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


def test_check_says_what_is_in_maintenance(call: Any, configure: Any) -> None:
    always = {"cron": "* * * * *", "duration": "1h", "reason": "storage is moved", "targets": ["file"]}
    configure({"dev": MEMORY, "file": MISSING}, maintenance=[always])
    said = call("check")
    assert said.code == 1, "the verdict is what it would be without"
    [line] = [line for line in said.out.splitlines() if "in maintenance" in line]
    assert line.startswith("file is in maintenance until 2")
    assert line.endswith(": storage is moved")
    report = json.loads(call("check", "--format", "json").out)
    shown = {result["target"]: result["maintenance"] for result in report["results"]}
    assert shown["dev"] is None
    assert shown["file"]["reason"] == "storage is moved"


def test_an_unknown_target_names_the_nearest(call: Any, configure: Any) -> None:
    configure({"warehouse": MEMORY})
    said = call("check", "warehose")
    assert (said.code, said.out) == (2, "")
    assert said.err == "error: no target 'warehose'; did you mean 'warehouse'?\n"


def test_a_missing_plugin_is_unhealthy(call: Any, configure: Any) -> None:
    configure({"shift": {"plugin": "sqlserver", "connection": {}}})
    said = call("check")
    assert said.code == 1
    assert "no plugin 'sqlserver' is installed" in said.out
    said = call("config", "check")
    assert said.code == 2
    assert "no plugin 'sqlserver' is installed" in said.err


def test_the_cure_stands_beside_the_cause(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "file": MISSING, "lab": LAB_DEGRADED})
    lines = call("check").out.splitlines()
    (line,) = [line for line in lines if line.startswith("file")]
    assert "does not exist" in line.partition("→")[0]
    assert "→ create the directory, or correct path" in line
    (line,) = [line for line in lines if line.startswith("dev")]
    assert "→" not in line
    report = json.loads(call("check", "--format", "json").out)
    remediation = {result["target"]: result["remediation"] for result in report["results"]}
    assert remediation["dev"] is None
    assert remediation["file"].startswith("create the directory")


PROFILES = """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: ":memory:"}
    old: {type: oracle}
store:
  outputs:
    dev: {type: duckdb, path: gone/x.duckdb, access_mode: read_only}
"""


def cases(xml: str) -> dict[str, tuple[str | None, list[str]]]:
    """By name: class, and what is in the case. The counts of the suite are those of the cases."""
    suite = ET.fromstring(xml).find("testsuite")  # noqa: S314 - our own
    assert suite is not None
    for key, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
        assert int(suite.attrib[key]) == len(suite.findall(f"testcase/{tag}"))
    assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))
    return {case.attrib["name"]: (case.get("classname"), [each.tag for each in case]) for case in suite}


def test_junit_has_a_case_for_each_target(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "file": MISSING, "lab": LAB_DEGRADED})
    said = call("check", "--format", "junit")
    assert said.code == 1
    assert cases(said.out) == {
        "dev": ("duckdb", ["system-out"]),
        "file": ("duckdb", ["failure"]),
        "lab": ("lab", ["system-out"]),
    }
    failure = ET.fromstring(said.out).find(".//failure")  # noqa: S314 - our own
    assert failure is not None
    assert failure.attrib["type"] == "connection"
    assert "does not exist" in failure.attrib["message"]
    assert "do: create the directory" in (failure.text or "")
    assert cases(call("check", "--format", "junit", "--strict").out)["lab"] == ("lab", ["failure"])


def test_junit_of_a_profiles_file(call: Any, place: Path) -> None:
    (place / "p.yml").write_text(PROFILES.replace("shop:", '"sh\\x01op <&>":'))
    said = call("check", "--profiles", "p.yml", "--format", "junit", "dev", "old")
    assert said.code == 0
    assert cases(said.out) == {"dev": ("duckdb", ["system-out"]), "old": ("sh\ufffdop <&>", ["skipped"])}
    said = call("check", "--profiles", "p.yml", "--format", "junit", "old")
    assert said.code == 1, "nothing was checked"
    assert cases(said.out) == {"old": ("sh\ufffdop <&>", ["error"])}


@pytest.mark.parametrize(
    ("profile", "targets", "code"),
    [(["shop"], ["dev"], 0), (["store"], ["dev"], 1), (["shop", "store"], ["dev", "store-dev"], 1)],
)
def test_the_outputs_of_one_profile(
    call: Any, place: Path, profile: list[str], targets: list[str], code: int
) -> None:
    (place / "p.yml").write_text(PROFILES)
    words = [word for name in profile for word in ("--profile", name)]
    said = call("check", "--profiles", "p.yml", *words, "--format", "json")
    report = json.loads(said.out)
    assert [each["target"] for each in report["results"]] == targets
    assert len(report["not_checked"]) == ("shop" in profile)
    assert said.code == code


def test_the_targets_of_one_profile_of_the_configuration(call: Any, configure: Any) -> None:
    kept = [
        {"name": "shop", "path": "p.yml", "targets": ["dev"]},
        {"name": "all", "path": "q.yml"},
    ]
    configure({"dev": MEMORY, "file": MISSING}, profiles=kept)

    def checked(*words: str) -> list[str]:
        report = json.loads(call("check", "--format", "json", *words).out)
        return [each["target"] for each in report["results"]]

    assert checked("--profile", "shop") == ["dev"]
    assert checked("--profile", "all") == ["dev", "file"]
    assert call("check", "--profile", "shop", "file").code == 2
    said = call("check", "--profile", "shpo")
    assert (said.code, said.err) == (
        2,
        "error: the configuration keeps no profile 'shpo'; did you mean 'shop'?\n",
    )
    assert call("check", "--profile", "shop", "--profiles", "gone.yml").code == 2


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
