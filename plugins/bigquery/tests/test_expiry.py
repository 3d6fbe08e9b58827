"""What ends at a known time: the certificates of Google's addresses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trustme

from conformance.bigquery_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ExpiryKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.mark.parametrize("reuse", [False, True])
def test_a_certificate_of_three_days(
    probe: Callable[..., ConnectionResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, reuse: bool
) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with StandIn(authority=authority) as google:
        google.certificate_ends = until
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        for _ in range(2):
            result = probe(api_endpoint=None, connection_reuse=reuse)
            assert result.status is ConnectionStatus.HEALTHY, result
            [expiry] = result.expiries
            assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
            assert result.server_address == "bigquery.googleapis.com"
