from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from floe_monitor import __version__

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
MISSING = {"plugin": "duckdb", "connection": {"path": "gone/x.duckdb", "must_exist": True}}
LAB = {"plugin": "lab", "connection": {"behave": "healthy"}}
LAB_DEGRADED = {"plugin": "lab", "connection": {"behave": "degraded"}}


def test_version_and_help(call: Any) -> None:
    assert call("--version").out == f"floe-monitor {__version__}\n"
    said = call("--help")
    for word in (
        "run",
        "check",
        "wait",
        "config",
        "profiles",
        "plugins",
        "packages",
        "resources",
        "catalog-sql",
    ):
        assert word in said.out
    assert call("chek").code == 2
    assert "Did you mean 'check'?" in call("chek").err


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


def test_profiles_are_shown_compared_and_written(call: Any, configure: Any, place: Path) -> None:
    configure({"dev": MEMORY}, profiles=[{"name": "p", "path": "var/profiles.yml", "target": "dev"}])
    assert yaml.safe_load(call("profiles", "show").out)["p"]["outputs"]["dev"]["type"] == "duckdb"
    said = call("profiles", "diff")
    assert said.code == 1
    assert "+  target: dev" in said.out
    assert call("profiles", "write").code == 0
    assert yaml.safe_load((place / "var/profiles.yml").read_text())["p"]["target"] == "dev"
    said = call("profiles", "diff")
    assert (said.code, said.out) == (0, "")
    (place / "var/profiles.yml").write_text("p: [unclosed")
    assert call("profiles", "write").code == 1
    assert (place / "var/profiles.yml").read_text() == "p: [unclosed"


def test_no_profiles_is_said(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY})
    assert "keeps no profile" in call("profiles", "diff").err


def test_plugins_are_listed_with_provenance(call: Any) -> None:
    said = call("plugins", "list")
    assert said.code == 0
    assert any(line.split()[:3] == ["lab", "floe-monitor-lab", "1.0"] for line in said.out.splitlines())
    listed = json.loads(call("plugins", "list", "--format", "json").out)
    assert {"duckdb", "lab"} <= {entry["name"] for entry in listed}
    said = call("plugins", "show", "duckdb")
    assert "dbt-duckdb" in said.out
    assert "memory_limit" in said.out
    said = call("plugins", "show", "duckbd")
    assert said.code == 2
    assert "did you mean 'duckdb'?" in said.err


def test_packages_are_printed_once(call: Any, configure: Any) -> None:
    configure({"one": MEMORY, "two": MEMORY, "lab": LAB})
    lines = call("packages").out.splitlines()
    assert len(lines) == len(set(lines)) >= 2
    assert call("packages", "lab").out == "dbt-core>=1.8\n"


def test_resources_are_kubernetes_yaml(call: Any) -> None:
    said = call("resources", "medium")
    assert yaml.safe_load(said.out)["resources"]["limits"] == {
        "cpu": "2000m",
        "memory": "4Gi",
        "ephemeral-storage": "2Gi",
    }
    assert call("resources", "medium", "--plugin", "duckdb").code == 0
    said = call("resources", "mediun")
    assert said.code == 2
    assert "did you mean 'medium'?" in said.err
    assert call("resources", "small", "--plugin", "nope").code == 2


CATALOG = {
    "catalog_uri": "http://127.0.0.1:8181/catalog",
    "catalog_name": "lake",
    "oauth_server_uri": "http://127.0.0.1:8181/token",
    "credentials": {"client_id": {"env": "LAKE_ID"}, "client_secret": {"env": "LAKE_SECRET"}},
}


def test_catalog_sql_hides_credentials_unless_asked(
    call: Any, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure({"dev": {**MEMORY, "catalog": CATALOG}})
    said = call("catalog-sql", "dev")
    assert said.code == 2
    assert "LAKE_ID" in said.err
    monkeypatch.setenv("LAKE_ID", "client-7")
    monkeypatch.setenv("LAKE_SECRET", "canary's secret")
    said = call("catalog-sql", "dev")
    assert said.code == 0, said
    assert "ATTACH" in said.out
    assert "canary" not in said.out + said.err
    assert "***" in said.out
    assert all(line.endswith(";") for line in said.out.splitlines())
    assert "canary''s secret" in call("catalog-sql", "dev", "--show-secrets").out


def test_a_target_without_catalog_says_so(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY})
    said = call("catalog-sql", "dev")
    assert said.code == 2
    assert "names no catalog" in said.err


def test_wait_until_up(call: Any, configure: Any) -> None:
    configure({"dev": MEMORY, "lab": LAB_DEGRADED, "file": MISSING})
    said = call("wait", "dev", "lab")
    assert said.code == 0
    assert said.out.startswith("up after ")
    said = call("wait", "file", "dev", "--timeout", "800ms", "--interval", "100ms")
    assert said.code == 1
    assert said.err.splitlines()[-1].endswith("s: file")
    assert said.err.count("file: unhealthy") == 1, "what has not changed is not repeated"
    assert call("wait", "dev", "--timeout", "soon").code == 2


def test_wait_sees_a_target_come_up(call: Any, configure: Any, place: Path) -> None:
    import threading

    configure({"file": MISSING})

    def create() -> None:
        import duckdb

        (place / "gone").mkdir()
        duckdb.connect(str(place / "gone/x.duckdb")).close()

    timer = threading.Timer(0.7, create)
    timer.start()
    said = call("wait", "file", "--interval", "100ms", "--timeout", "20s")
    timer.join()
    assert said.code == 0, said


def test_an_unexpected_error_is_short(call: Any, configure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from floe_monitor.cli import check_command, entry

    def broken(*_: object, **__: object) -> int:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(check_command, "load_targets", broken)
    said = call("check")
    assert said.code == 70
    assert said.err.splitlines()[0] == "error: unexpected RuntimeError: first line"
    assert "Traceback" not in said.err
    assert entry.run(["check"], debug=True) == 70
