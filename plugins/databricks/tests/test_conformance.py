"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from conformance.databricks_standin import CLIENT, EXPIRED, SECRET, WAREHOUSE, warehouse
from floe_monitor.testing import (
    ComputePluginConformance,
    Given,
    KeptConnectionConformance,
    NetworkConformance,
    ValidationConformance,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.databricks_standin import StandIn

    Keys = Callable[..., dict[str, Any]]


class Databricks:
    """The server's port is part of `host`, and of the address that dbt's driver is given."""

    plugin_name = "databricks"
    driver_modules: ClassVar[Sequence[str]] = ("databricks", "requests", "certifi", "thrift")
    overrun_seconds = 0.1
    fault_deadline_seconds: ClassVar[float] = 0.5
    deadline_seconds: ClassVar[float] = 5.0

    def server_of(self, keys: Mapping[str, Any]) -> tuple[str, int]:
        host, _, port = str(keys["connection"]["host"]).rpartition(":")
        return host, int(port)

    def pointed_at(self, keys: Mapping[str, Any], host: str, port: int) -> dict[str, Any]:
        connection = dict(keys["connection"])
        uri = f"https://{host}:{port}{connection['http_path']}"
        parameters = {**connection["connection_parameters"], "_connection_uri": uri}
        return {
            **keys,
            "connection": {**connection, "host": f"{host}:{port}", "connection_parameters": parameters},
        }


class TestToken(Databricks, ComputePluginConformance):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys(session_properties={"STATEMENT_TIMEOUT": "60"}, query_tags='{"team": "marts"}')

    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Callable[..., StandIn]) -> Mapping[str, Given]:
        starting = {WAREHOUSE: warehouse("STARTING")}
        return {
            "wrong token": keys({"token": "dapi-wrong-0123456789"}),
            "expired token": keys({"token": EXPIRED}),
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "starting": keys(port=launch(warehouses=starting).port),
            "no such warehouse": keys(port=launch(warehouses={}).port),
            "no such catalog": keys(database="nowhere"),
            "a page of a login": keys(port=launch(page=True).port),
        }


class ServicePrincipal(Databricks):
    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys({"client_secret": SECRET}, auth_type="oauth", client_id=CLIENT)


class TestServicePrincipal(ServicePrincipal, ValidationConformance):
    host_key = None

    @pytest.fixture
    def broken_configs(self, keys: Keys, launch: Callable[..., StandIn]) -> Mapping[str, Given]:
        login = {"auth_type": "oauth", "client_id": CLIENT}
        return {
            "wrong secret": keys({"client_secret": "dose-wrong-secret-0123"}, **login),
            "token refused": keys({"client_secret": SECRET}, port=launch(tokens=frozenset()).port, **login),
        }


@pytest.mark.gate
class TestFaultsOfOAuth(ServicePrincipal, NetworkConformance):
    """Faults while a token is asked for."""


@pytest.mark.gate
class TestKept(ServicePrincipal, KeptConnectionConformance):
    """One connection and one token for several probes."""
