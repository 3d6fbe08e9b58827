"""The seed's values and errors: its defaults, its presets, its constructor calls."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from floe_monitor.compute import (
    WORKLOAD_PRESETS,
    CatalogConfig,
    ComputeConfig,
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    ConnectionResult,
    ConnectionStatus,
    DuckDBComputeConfig,
    ErrorType,
    ResourceSpec,
    get_resource_requirements,
)
from floe_monitor.compute.quantities import parse_quantity


def test_the_seeds_constructor_calls() -> None:
    result = ConnectionResult(
        status=ConnectionStatus.HEALTHY, latency_ms=1.0, message="Connection successful"
    )
    assert (result.warnings, result.checks, result.error_type) == ([], (), None)
    assert ConnectionResult(ConnectionStatus.HEALTHY, 1.0).warnings is not result.warnings


def test_statuses_are_ordered_by_severity() -> None:
    assert [status.severity for status in ConnectionStatus] == [1, 2, 3]
    assert [status.value for status in ConnectionStatus] == ["healthy", "degraded", "unhealthy"]


def test_presets() -> None:
    assert {size: (spec.cpu_limit, spec.memory_limit) for size, spec in WORKLOAD_PRESETS.items()} == {
        "small": ("500m", "512Mi"),
        "medium": ("2000m", "4Gi"),
        "large": ("8000m", "16Gi"),
    }
    assert ResourceSpec() == ResourceSpec(cpu_request="100m", cpu_limit="1000m", memory_limit="1Gi")
    assert get_resource_requirements("large") is WORKLOAD_PRESETS["large"]
    with pytest.raises(ValueError, match=r"^Unknown workload size: huge\. Use: small, medium, large$"):
        get_resource_requirements("huge")
    with pytest.raises(ValidationError):
        ResourceSpec().cpu_limit = "1"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("100m", "0.1"), ("2", "2"), (".5", "0.5"), ("1.5Gi", "1610612736"), ("2e3", "2000")),
        *(("2E-3", "0.002"), ("12E", "12e18"), ("1Ei", str(2**60)), ("10k", "10000"), ("5n", "5e-9")),
        *(("0", "0"), ("+1.", "1")),
    ],
)
def test_quantities_of_kubernetes(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)
    assert ResourceSpec(memory_limit=text).memory_limit == text


@pytest.mark.parametrize("field", ResourceSpec.model_fields)
@pytest.mark.parametrize(
    "text", ["banana", "", "-1", "1 Gi", "1GB", "1K", "1mi", "1e", "1.2.3", "١", "1\n", "0x1"]
)
def test_what_is_no_quantity_is_refused_by_name(field: str, text: str) -> None:
    with pytest.raises(ValidationError, match="is no Kubernetes quantity") as caught:
        ResourceSpec.model_validate({field: text})
    assert [error["loc"] for error in caught.value.errors()] == [(field,)]


def test_a_memory_limit_of_duckdb_has_its_own_units() -> None:
    assert DuckDBComputeConfig(memory_limit="8GB").memory_limit == "8GB"


def test_compute_config_defaults_and_limits() -> None:
    config = ComputeConfig(plugin="x")
    assert (config.timeout_seconds, config.threads, config.connection, config.credentials) == (
        3600,
        4,
        {},
        {},
    )
    for wrong in (
        {"plugin": ""},
        {"threads": 0},
        {"threads": 65},
        {"timeout_seconds": 0},
        {"connection": None},
    ):
        with pytest.raises(ValidationError):
            ComputeConfig(**{"plugin": "x", **wrong})


def test_connection_and_top_level_keys_mean_the_same() -> None:
    inside = DuckDBComputeConfig.model_validate({"connection": {"path": "a", "other": 1}})
    outside = DuckDBComputeConfig(path="a")
    assert inside.path == outside.path == "a"
    assert inside.connection == {"path": "a", "other": 1}
    both: Any = {"connection": {"path": "a"}, "path": "a"}
    assert DuckDBComputeConfig.model_validate(both).path == "a"
    with pytest.raises(ValidationError, match="given twice"):
        DuckDBComputeConfig.model_validate({**both, "path": "b"})


def test_credentials_hide_and_configurations_travel() -> None:
    config = DuckDBComputeConfig.model_validate({"credentials": {"token": "canary"}})
    assert "canary" not in repr(config) + str(config) + config.model_dump_json()
    copy = pickle.loads(pickle.dumps(config))  # noqa: S301 - pickled on this line
    assert copy == config
    assert copy.credentials["token"].get_secret_value() == "canary"


def test_catalog_config() -> None:
    catalog = CatalogConfig(
        catalog_uri="http://c", catalog_name="n", credentials={"token": SecretStr("canary")}
    )
    assert (catalog.catalog_type, catalog.warehouse) == ("rest", None)
    assert "canary" not in repr(catalog)


@pytest.mark.parametrize(
    ("error", "error_type"),
    [
        (ComputeError, ErrorType.QUERY),
        (ComputeConnectionError, ErrorType.CONNECTION),
        (ComputeTimeoutError, ErrorType.TIMEOUT),
        (ComputeConfigurationError, ErrorType.CONFIGURATION),
    ],
)
def test_errors_carry_type_and_correlation_id(error: type[ComputeError], error_type: ErrorType) -> None:
    raised = error("went wrong", correlation_id="c-1")
    assert (str(raised), raised.correlation_id, raised.error_type) == ("went wrong", "c-1", error_type)
    assert error("went wrong").correlation_id is None
    assert issubclass(error, ComputeError)
