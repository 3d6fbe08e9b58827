"""The stand-in for Snowflake on a loopback port, and one probe of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_snowflake import SnowflakeComputePlugin

from conformance.loopback_server import LOOPBACK
from conformance.snowflake_standin import PASSWORD, StandIn
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config
from floe_monitor.registry.discovery import discover
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult


@pytest.fixture
def standin_class() -> type[StandIn]:
    return StandIn


@pytest.fixture(scope="session", autouse=True)
def declared_environment() -> None:
    """As the host sets it where it loads the plugin."""
    assert discover().get("snowflake").plugin is not None


@pytest.fixture
def plugin_class() -> type[SnowflakeComputePlugin]:
    return SnowflakeComputePlugin


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys; None takes one away, `credentials` replaces the password."""

    def build(credentials: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        connection = {
            "account": "acme-analytics",
            "user": "dbt",
            "host": LOOPBACK,
            "port": standin.port,
            "protocol": "http",
            "role": "transformer",
            "warehouse": "transforming",
            "database": "analytics",
            "schema": "marts",
            **changes,
        }
        given = {"password": PASSWORD} if credentials is None else credentials
        return target("snowflake", connection, given)

    return build


@pytest.fixture
def probe(
    plugin: SnowflakeComputePlugin, keys: Callable[..., dict[str, Any]]
) -> Callable[..., ConnectionResult]:
    def run(timeout: float = 5.0, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        with running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
