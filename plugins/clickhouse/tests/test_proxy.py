"""Proxies of the environment, chosen as dbt's HTTP driver does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from floe_monitor_clickhouse.proxy import driver_proxy

from floe_monitor.compute import ComputeConfigurationError, ConnectionStatus, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable

    from conformance.clickhouse_standin import StandIn
    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]


@pytest.mark.parametrize(
    ("variables", "host", "found"),
    [
        ({}, "ch", None),
        ({"HTTP_PROXY": "proxy:3128"}, "ch", ("proxy", 3128)),
        ({"HTTP_PROXY": "http://other:1", "http_proxy": "http://proxy:3128"}, "ch", ("proxy", 3128)),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "ch", None),
        ({"ALL_PROXY": "http://proxy:3128"}, "ch", None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "*"}, "ch", None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "x, .Example"}, "ch.example", None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "ch:8123"}, "CH", None),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "ch:1"}, "ch", ("proxy", 3128)),
        ({"HTTP_PROXY": "http://proxy:3128", "NO_PROXY": "10.0.0.0/8"}, "10.1.1.1", ("proxy", 3128)),
    ],
)
def test_the_drivers_choice(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], host: str, found: tuple[str, int] | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    proxy = driver_proxy("http", host, 8123)
    assert (None if proxy is None else (proxy.host, proxy.port)) == found


def test_a_proxys_login_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://user:secret@proxy:3128")
    proxy = driver_proxy("http", "ch", 8123)
    assert proxy is not None
    assert proxy.authorization is None


def test_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://proxy:1")
    with pytest.raises(ComputeConfigurationError, match="HTTP_PROXY"):
        driver_proxy("http", "ch", 8123)


def test_statements_go_through_it(probe: Probe, standin: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the stand-in itself takes the proxy's part: the address in whole comes before the path."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{standin.port}")
    assert probe(host="ch.invalid", port=8123).status is ConnectionStatus.HEALTHY
    assert {each["host"] for each in standin.state.headers} == {"ch.invalid:8123"}
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert probe().error_type is ErrorType.CONNECTION
    # The native driver knows no proxies.
    assert probe(driver="native").status is ConnectionStatus.HEALTHY
