"""What ends at a known time: the server's certificate, verified or not, and the client's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime

    from conformance.clickhouse_standin import StandIn
    from floe_monitor.compute import ConnectionResult

CERTIFICATE, KEY = ExpiryKind.SERVER_CERTIFICATE, ExpiryKind.KEY


@pytest.fixture
def encrypted(
    launch: Callable[..., StandIn], encrypt: Callable[..., ssl.SSLContext]
) -> Callable[[datetime], StandIn]:
    """With a certificate that ends then."""
    return lambda until: launch(tls=encrypt(until=until))


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("driver", ["http", "native"])
def test_a_certificate_of_three_days_and_the_clients(
    probe: Callable[..., ConnectionResult],
    encrypted: Callable[[datetime], StandIn],
    client_files: Callable[..., tuple[str, str]],
    driver: str,
    *,
    reuse: bool,
) -> None:
    until, soon = in_days(3), in_days(2)
    standin = encrypted(until)
    certificate, key = client_files(soon)
    given: dict[str, Any] = {
        "driver": driver, "port": standin.native_port if driver == "native" else standin.port,
        "secure": True, "verify": False, "connection_reuse": reuse, "client_cert": certificate,
        "client_cert_key": key,
    }  # fmt: skip
    for _ in range(2):
        result = probe(**given)
        assert result.status is ConnectionStatus.HEALTHY, result
        found = {expiry.what: expiry.at for expiry in result.expiries}
        assert found == {CERTIFICATE: until.timestamp(), KEY: soon.timestamp()}
        assert result.server_address == "127.0.0.1"
