"""What targets share, by the real plugins' declarations: nothing is resolved and no secret shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.domain.resources import Resource
from floe_monitor.domain.targets import build_targets
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.discovery import PluginRegistry, discover
from floe_monitor.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(scope="module")
def registry() -> PluginRegistry:
    return discover()


def shared(registry: PluginRegistry, **target: Any) -> Mapping[str, set[str]]:
    settings = Settings.model_validate({"targets": {"dev": target}})
    found: dict[str, set[str]] = {}
    for resource in build_targets(settings, registry, environ={"PW": "canary-secret"})["dev"].resources:
        found.setdefault(resource.kind, set()).add(resource.name)
    return found


def test_host_and_credential(registry: PluginRegistry) -> None:
    connection = {"host": "DB.internal", "port": 5433, "user": "u", "dbname": "d", "schema": "s"}
    found = shared(
        registry, plugin="postgres", connection=connection, credentials={"password": {"env": "PW"}}
    )
    assert found == {"host": {"db.internal:5433"}, "credential": {"env PW"}, "plugin": {"postgres"}}
    expressed = {**connection, "host": "{{ env_var('DB_HOST') }}"}
    found = shared(registry, plugin="postgres", connection=expressed)
    assert found["host"] == {"{{ env_var('DB_HOST') }}:5433"}, "one variable is one host"


def test_account_and_warehouse(registry: PluginRegistry) -> None:
    connection = {"account": "ORG-ACME", "user": "u", "database": "d", "schema": "s", "warehouse": "WH"}
    found = shared(
        registry, plugin="snowflake", connection=connection, credentials={"password": {"file": "/run/pw"}}
    )
    assert found["host"] == {"org-acme"}
    assert found["warehouse"] == {"ORG-ACME:WH"}
    assert found["credential"] == {"file /run/pw"}


def test_a_file_of_ones_own_is_shared_with_nobody(registry: PluginRegistry) -> None:
    assert shared(registry, plugin="duckdb", connection={"path": ":memory:"}) == {"plugin": {"duckdb"}}


def test_a_catalog_is_its_address(registry: PluginRegistry) -> None:
    catalog = {"catalog_uri": "https://user:canary-secret@lake/api/catalog/", "catalog_name": "c"}
    found = shared(registry, plugin="duckdb", connection={"path": ":memory:"}, catalog=catalog)
    (name,) = found["catalog"]
    assert name.endswith("@lake/api/catalog")
    assert "canary" not in name


def test_a_plugin_that_is_missing_is_shared_by_all_its_targets(registry: PluginRegistry) -> None:
    assert shared(registry, plugin="nosuch", connection={"host": "h"}) == {"plugin": {"nosuch"}}


@pytest.mark.parametrize("declared", [None, 7, {"host": "host"}, {"host": (1,)}, [("host",)]])
def test_what_a_plugin_declares_wrongly_is_nothing(declared: object) -> None:
    class Odd:
        resource_keys = declared

    assert foreign_plugin.resource_keys(Odd()) == {}  # type: ignore[arg-type]  # upstream's plugins are others


def test_resources_are_read_back_by_kind() -> None:
    assert Resource.parse("host", "db") == Resource("host", "db")
    with pytest.raises(ValueError, match="planet"):
        Resource.parse("planet", "earth")
