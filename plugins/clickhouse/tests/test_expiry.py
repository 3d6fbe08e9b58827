"""What ends at a known time: the server's certificate, verified or not, and the client's."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from conformance.clickhouse_standin import StandIn
    from floe_monitor.compute import ConnectionResult

CERTIFICATE, KEY = ExpiryKind.SERVER_CERTIFICATE, ExpiryKind.KEY


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


@pytest.fixture
def encrypted(launch: Callable[..., StandIn], authority: trustme.CA) -> Callable[[datetime], StandIn]:
    """With a certificate that ends then."""

    def make(until: datetime) -> StandIn:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1", not_after=until).configure_cert(context)
        return launch(tls=context)

    return make


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("driver", ["http", "native"])
def test_a_certificate_of_three_days_and_the_clients(
    probe: Callable[..., ConnectionResult],
    encrypted: Callable[[datetime], StandIn],
    authority: trustme.CA,
    tmp_path: Path,
    driver: str,
    *,
    reuse: bool,
) -> None:
    until, soon = in_days(3), in_days(2)
    standin = encrypted(until)
    client = authority.issue_cert("dbt.example", not_after=soon)
    certificate, key = tmp_path / "client.pem", tmp_path / "client.key"
    client.cert_chain_pems[0].write_to_path(certificate)
    client.private_key_pem.write_to_path(key)
    given: dict[str, Any] = {
        "driver": driver, "port": standin.native_port if driver == "native" else standin.port,
        "secure": True, "verify": False, "connection_reuse": reuse, "client_cert": str(certificate),
        "client_cert_key": str(key),
    }  # fmt: skip
    for _ in range(2):
        result = probe(**given)
        assert result.status is ConnectionStatus.HEALTHY, result
        found = {expiry.what: expiry.at for expiry in result.expiries}
        assert found == {CERTIFICATE: until.timestamp(), KEY: soon.timestamp()}
        assert result.server_address == "127.0.0.1"
