"""What ends at a known time: the workspace's certificate."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
import trustme

from conformance.databricks_standin import LOOPBACK, StandIn
from floe_monitor.compute import ConnectionStatus, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult


@pytest.mark.parametrize("reuse", [False, True])
def test_a_certificate_of_three_days(
    probe: Callable[..., ConnectionResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reuse: bool
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    authority, root = trustme.CA(), tmp_path / "root.pem"
    authority.cert_pem.write_to_path(root)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(LOOPBACK, not_after=until).configure_cert(context)
    with StandIn(context) as standin:
        for _ in range(2):
            result = probe(port=standin.port, connection_reuse=reuse)
            assert result.status is ConnectionStatus.HEALTHY, result
            [expiry] = result.expiries
            assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
            assert result.server_address == LOOPBACK
