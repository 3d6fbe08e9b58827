"""What ends at a known time: the certificates of Google's addresses."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from conformance.bigquery_standin import StandIn
from floe_monitor.compute import ConnectionStatus, ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import trustme

    from floe_monitor.compute import ConnectionResult


@pytest.fixture
def probe(probe: Callable[..., ConnectionResult]) -> Callable[..., ConnectionResult]:
    """With more time than any machine takes."""
    return partial(probe, timeout=60.0)


@pytest.mark.parametrize("reuse", [False, True])
def test_a_certificate_of_three_days(
    probe: Callable[..., ConnectionResult],
    authority: trustme.CA,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    reuse: bool,
) -> None:
    until = in_days(3)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(root))
    with StandIn(authority=authority) as google:
        google.certificate_ends = until
        monkeypatch.setenv("HTTPS_PROXY", google.url)
        for _ in range(2):
            result = probe(api_endpoint=None, connection_reuse=reuse)
            assert result.status is ConnectionStatus.HEALTHY, result
            [expiry] = result.expiries
            assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
            assert result.server_address == "bigquery.googleapis.com"
