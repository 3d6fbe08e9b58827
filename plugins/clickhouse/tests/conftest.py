"""Stand-ins for a server on free loopback ports, the two servers that tests can have, and targets of all."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from floe_monitor_clickhouse import ClickHouseComputePlugin

from conformance import clickhouse_servers
from conformance.clickhouse_answers import PASSWORD
from conformance.clickhouse_standin import StandIn
from floe_monitor.compute import Deadline
from floe_monitor.compute.deadline import running_until
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conformance.clickhouse_servers import OldServer
    from floe_monitor.compute import ConnectionResult

LOOPBACK = "127.0.0.1"
ENVIRONMENT = (
    "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
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
def trusted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By both drivers: the one takes the system's roots, the other certifi's."""
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    monkeypatch.setattr("certifi.where", lambda: str(root))


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", LOOPBACK).configure_cert(context)
    return context


@pytest.fixture
def plugin() -> Iterator[ClickHouseComputePlugin]:
    plugin = ClickHouseComputePlugin()
    yield plugin
    plugin.shutdown()


@pytest.fixture
def keys(standin: StandIn) -> Callable[..., dict[str, Any]]:
    """A target's keys; arguments replace those of `connection`, one that is None leaves it out."""

    def make(credentials: dict[str, str] | None = None, **connection: Any) -> dict[str, Any]:
        native = connection.get("driver") == "native"
        base = {
            "host": LOOPBACK,
            "port": standin.native_port if native else standin.port,
            "user": "dbt",
            "schema": "marts",
        }
        return {
            "plugin": "clickhouse",
            "connection": {key: value for key, value in {**base, **connection}.items() if value is not None},
            "credentials": {"password": PASSWORD} if credentials is None else credentials,
        }

    return make


@pytest.fixture
def probe(
    plugin: ClickHouseComputePlugin, keys: Callable[..., dict[str, Any]], within: Any, unhurried: Any
) -> Callable[..., ConnectionResult]:
    """Validate as the daemon does, with the result held to its deadline."""

    def run(timeout: float | None = None, **changes: Any) -> ConnectionResult:
        config = build_config(plugin, keys(**changes))
        timeout = unhurried(5.0) if timeout is None else timeout
        with within(timeout), running_until(Deadline.after(timeout)):
            return plugin.validate_connection(config)

    return run


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Iterator[OldServer]:
    """Debian's server, which is real, and of 2018."""
    if reason := clickhouse_servers.old_unavailable():
        pytest.skip(reason)
    with clickhouse_servers.OldServer(tmp_path_factory.mktemp("clickhouse")) as server:
        yield server
