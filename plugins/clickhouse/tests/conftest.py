"""Stand-ins for a server on free loopback ports, the two servers that tests can have, and targets of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_clickhouse import ClickHouseComputePlugin

from conformance import clickhouse_servers
from conformance.clickhouse_answers import PASSWORD
from conformance.clickhouse_standin import StandIn
from conformance.loopback_server import LOOPBACK
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.clickhouse_servers import OldServer


@pytest.fixture(autouse=True)
def clean_environment(no_network_settings: None) -> None:
    """Whatever the machine's is."""


@pytest.fixture
def standin_class() -> type[StandIn]:
    return StandIn


@pytest.fixture
def trusted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By both drivers: the one takes the system's roots, the other certifi's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    monkeypatch.setattr("certifi.where", lambda: str(root))


@pytest.fixture
def plugin_class() -> type[ClickHouseComputePlugin]:
    return ClickHouseComputePlugin


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """Arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        native = connection.get("driver") == "native"
        base = {
            "host": LOOPBACK,
            "port": standin.native_port if native else standin.port,
            "user": "dbt",
            "schema": "marts",
        }
        given = {"password": PASSWORD} if credentials is None else credentials
        return target("clickhouse", {**base, **connection}, given)

    return make


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[OldServer]:
    """Debian's server, which is real, and of 2018."""
    if reason := clickhouse_servers.old_unavailable():
        pytest.skip(reason)
    with clickhouse_servers.OldServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server
