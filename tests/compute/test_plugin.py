"""The base class: what a plugin must have and what it gets for nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from floe_monitor.compute import (
    CatalogConfig,
    ComputeConfig,
    ComputeConfigurationError,
    ComputePlugin,
    ConnectionResult,
    ConnectionStatus,
)
from floe_monitor.registry.discovery import find_problem


class Least(ComputePlugin):
    name = "least"
    version = "1.0"
    floe_api_version = "1.0"
    is_self_hosted = True

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        return ConnectionResult(ConnectionStatus.HEALTHY, 0.0)

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        return {"type": "least"}

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-least"]


def test_the_least_plugin_is_a_whole_one() -> None:
    plugin = Least()
    assert find_problem(plugin, "least") is None
    config = ComputeConfig(plugin="least")
    catalog = CatalogConfig(catalog_uri="http://c", catalog_name="c")
    assert plugin.get_catalog_attachment_sql(catalog) is None
    assert plugin.get_catalog_configs(config) == []
    assert plugin.get_config_schema() is None
    assert plugin.get_resource_requirements("small").cpu_limit == "500m"
    assert (plugin.db_system_name, plugin.default_isolation) == ("least", "thread")
    assert (plugin.description, plugin.dependencies, plugin.tracer_name) == ("", [], None)
    assert plugin.augment_dbt_profile({"a": 1}) == {"a": 1}
    assert plugin.get_dbt_macro_paths() == []
    plugin.configure(config)
    plugin.startup()
    plugin.shutdown()
    with pytest.raises(ComputeConfigurationError, match=r"least plugin cannot import profiles \(x\)"):
        plugin.import_dbt_output({"type": "x"})


@pytest.mark.parametrize("missing", sorted(ComputePlugin.__abstractmethods__))
def test_what_is_abstract_must_be_there(missing: str) -> None:
    partial = type("Partial", (ComputePlugin,), {k: v for k, v in vars(Least).items() if k != missing})
    with pytest.raises(TypeError, match=missing):
        partial()


class TypedConfig(ComputeConfig):
    plugin: str = "typed"
    path: str = "default"
    size: int = 1


class Typed(Least, ComputePlugin[TypedConfig]):
    config_model = TypedConfig
    adapter_type = "other"

    def generate_dbt_profile(self, config: TypedConfig) -> dict[str, Any]:  # type: ignore[override]
        return {"type": "other", "path": config.path, "given": sorted(config.model_fields_set)}


def test_methods_get_the_plugins_own_model_whoever_calls() -> None:
    """As the seed's interface is used: with any `ComputeConfig`."""
    plugin = Typed()
    own = TypedConfig(path="x")
    assert plugin.generate_dbt_profile(own)["path"] == "x"
    given = ComputeConfig(plugin="typed", connection={"path": "y"})
    assert plugin.generate_dbt_profile(given) == {  # type: ignore[arg-type]
        "type": "other",
        "path": "y",
        "given": ["connection", "path", "plugin"],
    }
    assert plugin.get_config_schema() is TypedConfig


def test_a_configuration_that_does_not_fit_is_refused_without_its_values() -> None:
    given = ComputeConfig(plugin="typed", connection={"size": "canary"})
    with pytest.raises(ComputeConfigurationError, match=r"^size: ") as refused:
        Typed().generate_dbt_profile(given)  # type: ignore[arg-type]
    assert "canary" not in str(refused.value)


def test_a_coroutine_function_is_still_refused_by_name() -> None:
    class Async(Least):
        async def validate_connection(self, config: ComputeConfig) -> ConnectionResult:  # type: ignore[override]
            return ConnectionResult(ConnectionStatus.HEALTHY, 0.0)

    assert "coroutine" in (find_problem(Async(), "least") or "")


@pytest.mark.process
def test_the_contract_imports_neither_the_daemon_nor_pytest() -> None:
    source = (
        "import sys, floe_monitor.compute, floe_monitor.registry.discovery\n"
        "heavy = ('pytest', '_pytest', 'anyio', 'prometheus_client', 'opentelemetry', 'structlog')\n"
        "ours = [m for m in sys.modules if m.startswith('floe_monitor.')]\n"
        "ours = [m for m in ours if '.compute' not in m and '.registry' not in m]\n"
        "print([m for m in sys.modules if m.split('.')[0] in heavy] + ours)"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
