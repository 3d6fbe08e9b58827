"""Stand-ins for a workspace on free loopback ports, and targets of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_databricks import DatabricksComputePlugin

from conformance.databricks_standin import TOKEN, WAREHOUSE_PATH, StandIn
from conformance.loopback_server import LOOPBACK
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

ENVIRONMENT = ("ARM_TENANT_ID", "DATABRICKS_OIDC_TOKEN", "DATABRICKS_OIDC_TOKEN_ENV")


@pytest.fixture(autouse=True)
def clean_environment(no_network_settings: None, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """None of the machine's; the roots as dbt's SDK wants them."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))


@pytest.fixture
def standin_class(tls: ssl.SSLContext) -> Callable[..., StandIn]:
    return partial(StandIn, tls)


@pytest.fixture
def plugin_class() -> type[DatabricksComputePlugin]:
    return DatabricksComputePlugin


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """Arguments replace those of `connection`, one that is None leaves it out."""

    def make(
        credentials: dict[str, str] | None = None,
        port: int | None = None,
        host: str = LOOPBACK,
        parameters: dict[str, Any] | None = None,
        **connection: Any,
    ) -> dict[str, Any]:
        there = f"{host}:{port or standin.port}"
        driver = {"_connection_uri": f"https://{there}{WAREHOUSE_PATH}", **(parameters or {})}
        base = {
            "host": there, "http_path": WAREHOUSE_PATH, "database": "main", "schema": "marts",
            "connection_parameters": driver,
        }  # fmt: skip
        given = {"token": TOKEN} if credentials is None else credentials
        return target("databricks", {**base, **connection}, given)

    return make
