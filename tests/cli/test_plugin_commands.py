"""`plugins list|show`, `packages`, `resources` and `catalog-sql`."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    import pytest

MEMORY = {"plugin": "duckdb", "connection": {"path": ":memory:"}}
LAB = {"plugin": "lab", "connection": {"behave": "healthy"}}


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


def test_without_a_plugin_those_of_the_extras_are_named(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.distributions", list)
    said = call("plugins", "list")
    assert said.code == 0
    assert "no plugins are installed" in said.err
    assert "there are floe-monitor-bigquery, floe-monitor-clickhouse, " in said.err.replace("\n", " ")


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


def test_resources_that_a_plugin_gets_wrong_are_named(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import floe_monitor_lab

    def get(_plugin: object, _size: str) -> SimpleNamespace:
        return SimpleNamespace(cpu_request="banana")

    monkeypatch.setattr(floe_monitor_lab.LabComputePlugin, "get_resource_requirements", get)
    said = call("resources", "small", "--plugin", "lab")
    assert said.code == 2
    assert "lab: its resources of size small are none: cpu_request: " in said.err
    assert "'banana' is no Kubernetes quantity" in said.err


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
