"""Stand-ins for a coordinator on free loopback ports, one real Trino for the session, and targets of both."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from floe_monitor_trino import TrinoComputePlugin

from conformance import trino_server
from conformance.trino_standin import StandIn
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.trino_server import TrinoServer
    from floe_monitor.compute import ConnectionResult

LOOPBACK = "127.0.0.1"
ENVIRONMENT = (
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "SOCKS_PROXY",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def launch() -> Iterator[Callable[..., StandIn]]:
    started: list[StandIn] = []

    def make(**options: Any) -> StandIn:
        started.append(StandIn(**options))
        return started[-1]

    yield make
    for standin in started:
        standin.close()


@pytest.fixture
def standin(launch: Callable[..., StandIn]) -> StandIn:
    return launch()


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def root(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the root that the stand-ins' certificates are under."""
    place = tmp_path_factory.mktemp("tls") / "root.pem"
    authority.cert_pem.write_to_path(place)
    return place


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's TLS, which asks a client for its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", LOOPBACK).configure_cert(context)
    return context


@pytest.fixture
def plugin() -> Iterator[TrinoComputePlugin]:
    plugin = TrinoComputePlugin()
    yield plugin
    plugin.shutdown()


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys; arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        base = {
            "host": LOOPBACK,
            "port": standin.port,
            "user": "dbt",
            "database": "memory",
            "schema": "marts",
        }
        return {
            "plugin": "trino",
            "connection": {key: value for key, value in {**base, **connection}.items() if value is not None},
            "credentials": credentials or {},
        }

    return make


@pytest.fixture
def probe(
    plugin: TrinoComputePlugin, keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, with the result held to its deadline."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = unhurried(5.0) if timeout is None else timeout
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run


@pytest.fixture(scope="session")
def trino(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[TrinoServer]:
    if reason := trino_server.unavailable():
        pytest.skip(reason)
    with trino_server.TrinoServer(tmp_path_factory.mktemp("trino")) as server:
        yield server
