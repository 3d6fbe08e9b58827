"""Stand-ins for a coordinator on free loopback ports, one real Trino for the session, and targets of both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_trino import TrinoComputePlugin

from conformance import trino_server
from conformance.loopback_server import LOOPBACK
from conformance.trino_standin import StandIn
from tests.harness.plugin_targets import target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conformance.trino_server import TrinoServer


@pytest.fixture(autouse=True)
def clean_environment(no_network_settings: None) -> None:
    """Whatever the machine's is."""


@pytest.fixture
def standin_class() -> type[StandIn]:
    return StandIn


@pytest.fixture
def plugin_class() -> type[TrinoComputePlugin]:
    return TrinoComputePlugin


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """Arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        base = {
            "host": LOOPBACK,
            "port": standin.port,
            "user": "dbt",
            "database": "memory",
            "schema": "marts",
        }
        return target("trino", {**base, **connection}, credentials or {})

    return make


@pytest.fixture(scope="session")
def trino(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[TrinoServer]:
    if reason := trino_server.unavailable():
        pytest.skip(reason)
    with trino_server.TrinoServer(tmp_path_factory.mktemp("trino")) as server:
        yield server
