"""What ends at a known time: the server's certificate, by Thrift and by HTTP."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from floe_monitor.compute import ConnectionStatus, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("way", ["TLS", "HTTPS"])
def test_a_certificate_of_three_days(
    validate: Callable[..., ConnectionResult],
    serve: Callable[..., Any],
    keys_of: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    way: str,
    reuse: bool,
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=until).configure_cert(context)
    standin = serve(way, tls=context)
    authority.cert_pem.write_to_path(tmp_path / "root.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    for _ in range(2):
        result = validate(keys_of(way, standin.port, host="localhost", connection_reuse=reuse), timeout=60)
        assert result.status is ConnectionStatus.HEALTHY, result
        [expiry] = result.expiries
        assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
        assert result.server_address == "localhost"
