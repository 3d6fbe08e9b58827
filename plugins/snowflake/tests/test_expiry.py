"""What ends at a known time: the certificate that the account's address shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from conformance.loopback_server import LOOPBACK
from conformance.snowflake_standin import StandIn
from floe_monitor.compute import ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult

    Probe = Callable[..., ConnectionResult]


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


def test_a_certificate_of_three_days_is_told_whoever_trusts_it(
    probe: Probe, encrypt: Callable[..., ssl.SSLContext]
) -> None:
    until = in_days(3)
    with StandIn(tls=encrypt(until=until)) as encrypted:
        result = probe(port=encrypted.port, protocol="https")
    [expiry] = result.expiries
    assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
    assert expiry.of == "the certificate of 127.0.0.1"
    assert result.server_address == LOOPBACK


def test_the_server_behind_a_proxy_is_the_target(probe: Probe) -> None:
    result = probe(host="acme.snowflakecomputing.com", proxy_host=LOOPBACK, proxy_port=1)
    assert (result.checks[-1].name, result.server_address) == ("network", "acme.snowflakecomputing.com")
