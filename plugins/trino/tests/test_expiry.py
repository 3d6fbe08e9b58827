"""What ends at a known time: the coordinator's certificate, verified or not, and the client's."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.trino_standin import PASSWORD
from floe_monitor.compute import ConnectionStatus, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from conformance.trino_standin import StandIn
    from floe_monitor.compute import ConnectionResult

CERTIFICATE, KEY = ExpiryKind.SERVER_CERTIFICATE, ExpiryKind.KEY


def in_days(days: int) -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)


def ends(result: ConnectionResult) -> dict[ExpiryKind, float]:
    assert result.status is ConnectionStatus.HEALTHY, result
    return {expiry.what: expiry.at for expiry in result.expiries}


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.fixture
def encrypted(launch: Callable[..., StandIn], authority: trustme.CA) -> Callable[[datetime], StandIn]:
    """With a certificate that ends then."""

    def make(until: datetime) -> StandIn:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1", not_after=until).configure_cert(context)
        return launch(tls=context)

    return make


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("verified", [False, True])
def test_a_certificate_of_three_days(
    probe: Callable[..., ConnectionResult],
    encrypted: Callable[[datetime], StandIn],
    root: Path,
    *,
    verified: bool,
    reuse: bool,
) -> None:
    until = in_days(3)
    standin = encrypted(until)
    given: dict[str, Any] = {
        "port": standin.port,
        "cert": str(root) if verified else False,
        "method": "ldap",
        "connection_reuse": reuse,
    }
    for _ in range(2):
        result = probe(credentials={"password": PASSWORD}, **given)
        assert ends(result) == {CERTIFICATE: until.timestamp()}
        assert result.server_address == "127.0.0.1"


def test_the_clients_certificate(
    probe: Callable[..., ConnectionResult],
    encrypted: Callable[[datetime], StandIn],
    authority: trustme.CA,
    root: Path,
    tmp_path: Path,
) -> None:
    until, soon = in_days(30), in_days(2)
    standin = encrypted(until)
    client = authority.issue_cert("dbt@example.com", not_after=soon)
    files = {"client_certificate": tmp_path / "client.pem", "client_private_key": tmp_path / "client.key"}
    client.cert_chain_pems[0].write_to_path(files["client_certificate"])
    client.private_key_pem.write_to_path(files["client_private_key"])
    given = {name: str(path) for name, path in files.items()}
    result = probe(port=standin.port, cert=str(root), method="certificate", user=None, **given)
    assert ends(result) == {CERTIFICATE: until.timestamp(), KEY: soon.timestamp()}
