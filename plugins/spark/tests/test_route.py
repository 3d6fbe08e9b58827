"""Where a probe goes over HTTPS is where dbt's driver goes: the same proxy, server and path."""

from __future__ import annotations

from http.client import HTTPSConnection
from typing import TYPE_CHECKING, Any

import pytest
from floe_monitor_spark import SparkComputePlugin
from floe_monitor_spark.connect import Route
from thrift.transport.THttpClient import THttpClient

from floe_monitor.compute import ErrorType
from floe_monitor.registry.config_validation import build_config
from tests.harness.locked import needs_locked

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult


@pytest.fixture
def route_of(http_keys: Callable[..., Any]) -> Callable[..., Route]:
    def find(port: int = 8443, **connection: Any) -> Route:
        config: Any = build_config(SparkComputePlugin(), http_keys(port, **connection))
        return Route.of(config)

    return find


def driver_for(host: str, port: int = 8443) -> Any:
    """The transport that dbt-spark makes for the targets of `route_of`."""
    site = host if host.startswith("https://") else f"https://{host}"
    return THttpClient(f"{site}:{port}/sql/protocolv1/o/0/0123-456789-abcdefgh")


@pytest.fixture(autouse=True)
def no_proxy_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    "host",
    [
        "org.example.com",
        "https://org.example.com",
        "Org.Example.COM",
        "[::1]",
        "https://org.example.com/",
        "a.b/c",
    ],
)
def test_the_server_and_path(host: str, route_of: Callable[..., Route]) -> None:
    route, driver = route_of(host=host), driver_for(host)
    assert (route.first, route.path) == ((driver.host, driver.port), driver.path)
    assert (route.host, route.port) == route.first


@pytest.mark.parametrize(
    "proxy",
    [
        "http://proxy.example:3128",
        "http://proxy.example",
        "https://proxy.example:3128",
        # thrift 0.20 fails on a proxy with a password, its successors do not
        pytest.param("http://me:p%40ss@proxy.example:3128", marks=needs_locked("thrift")),
    ],
)
@pytest.mark.parametrize(
    "exceptions", ["", "elsewhere.example", "org.example.com", ".example.com", "*", "10.0.0.0/8"]
)
def test_the_proxy(
    proxy: str, exceptions: str, route_of: Callable[..., Route], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    monkeypatch.setenv("NO_PROXY", exceptions)
    monkeypatch.setenv("ALL_PROXY", "http://other.example:1")
    route, driver = route_of(host="org.example.com"), driver_for("org.example.com")
    connects_to = HTTPSConnection(driver.host, driver.port)  # as the driver does, with no port perhaps
    assert route.first == (connects_to.host, connects_to.port)
    assert (route.proxy is not None) == driver.using_proxy()
    if route.proxy is not None:
        assert (route.host, route.port) == (driver.realhost, driver.realport)
        assert route.proxy.authorization == driver.proxy_auth
        assert route.proxy.scheme == "http"


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "http://me@proxy.example:3128"])
def test_a_proxy_that_the_driver_fails_on(
    proxy: str, validate: Callable[..., ConnectionResult], http_keys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises((TypeError, AttributeError)):
        driver_for("org.example.com").open()
    result = validate(http_keys(443, host="org.example.com"))
    assert (result.error_type, result.checks[-1].name) == (ErrorType.CONFIGURATION, "network")
    assert "HTTPS_PROXY" in result.message


def test_a_host_that_is_none(validate: Callable[..., ConnectionResult], http_keys: Any) -> None:
    result = validate(http_keys(443, host="org.example.com:8443"))
    assert (result.error_type, result.checks[-1].name) == (ErrorType.CONFIGURATION, "network")
