"""Stand-ins for a workspace on free loopback ports, and targets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_databricks import DatabricksComputePlugin

from conformance.databricks_standin import LOOPBACK, TOKEN, WAREHOUSE_PATH, StandIn, server_tls
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

ENVIRONMENT = (
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY",
    "no_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "ARM_TENANT_ID", "DATABRICKS_OIDC_TOKEN",
    "DATABRICKS_OIDC_TOKEN_ENV",
)  # fmt: skip


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    return server_tls(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def root(certified: tuple[ssl.SSLContext, Path]) -> Path:
    """The file of the root that the stand-ins' certificates are under."""
    return certified[1]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """None of the machine's; the roots as dbt's SDK wants them."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))


@pytest.fixture
def launch(certified: tuple[ssl.SSLContext, Path]) -> Iterator[Callable[..., StandIn]]:
    started: list[StandIn] = []

    def make(**state: Any) -> StandIn:
        started.append(StandIn(certified[0], **state))
        return started[-1]

    yield make
    for standin in started:
        standin.close()


@pytest.fixture
def standin(launch: Callable[..., StandIn]) -> StandIn:
    return launch()


@pytest.fixture
def plugin() -> Iterator[DatabricksComputePlugin]:
    plugin = DatabricksComputePlugin()
    yield plugin
    plugin.shutdown()


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys; arguments replace those of `connection`, one that is None leaves it out."""

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
        return {
            "plugin": "databricks",
            "connection": {key: value for key, value in {**base, **connection}.items() if value is not None},
            "credentials": {"token": TOKEN} if credentials is None else credentials,
        }

    return make


@pytest.fixture
def probe(
    plugin: DatabricksComputePlugin, keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, with the result held to its deadline."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = unhurried(5.0) if timeout is None else timeout
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run
