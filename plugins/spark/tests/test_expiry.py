"""What ends at a known time: the server's certificate, by Thrift and by HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import ConnectionStatus, ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("way", ["TLS", "HTTPS"])
def test_a_certificate_of_three_days(
    validate: Callable[..., ConnectionResult],
    serve: Callable[..., Any],
    keys_of: Callable[..., Any],
    encrypt: Callable[..., ssl.SSLContext],
    *,
    way: str,
    reuse: bool,
) -> None:
    until = in_days(3)
    standin = serve(way, tls=encrypt("localhost", until=until))
    for _ in range(2):
        result = validate(keys_of(way, standin.port, host="localhost", connection_reuse=reuse), timeout=60)
        assert result.status is ConnectionStatus.HEALTHY, result
        [expiry] = result.expiries
        assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
        assert result.server_address == "localhost"
