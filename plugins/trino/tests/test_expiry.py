"""What ends at a known time: the coordinator's certificate, verified or not, and the client's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from conformance.trino_standin import PASSWORD
from floe_monitor.compute import ConnectionStatus, ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from conformance.trino_standin import StandIn
    from floe_monitor.compute import ConnectionResult

CERTIFICATE, KEY = ExpiryKind.SERVER_CERTIFICATE, ExpiryKind.KEY


def ends(result: ConnectionResult) -> dict[ExpiryKind, float]:
    assert result.status is ConnectionStatus.HEALTHY, result
    return {expiry.what: expiry.at for expiry in result.expiries}


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.fixture
def encrypted(
    launch: Callable[..., StandIn], encrypt: Callable[..., ssl.SSLContext]
) -> Callable[[datetime], StandIn]:
    """With a certificate that ends then."""
    return lambda until: launch(tls=encrypt(until=until))


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
    client_files: Callable[..., tuple[str, str]],
    root: Path,
) -> None:
    until, soon = in_days(30), in_days(2)
    standin = encrypted(until)
    given = dict(zip(("client_certificate", "client_private_key"), client_files(soon), strict=True))
    result = probe(port=standin.port, cert=str(root), method="certificate", user=None, **given)
    assert ends(result) == {CERTIFICATE: until.timestamp(), KEY: soon.timestamp()}
