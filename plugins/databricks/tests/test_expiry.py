"""What ends at a known time: the workspace's certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from conformance.databricks_standin import StandIn
from conformance.loopback_server import LOOPBACK
from floe_monitor.compute import ConnectionStatus, ExpiryKind
from tests.harness.certificates import in_days

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from floe_monitor.compute import ConnectionResult


@pytest.mark.parametrize("reuse", [False, True])
def test_a_certificate_of_three_days(
    probe: Callable[..., ConnectionResult], encrypt: Callable[..., ssl.SSLContext], *, reuse: bool
) -> None:
    until = in_days(3)
    with StandIn(encrypt(until=until)) as standin:
        for _ in range(2):
            result = probe(port=standin.port, connection_reuse=reuse)
            assert result.status is ConnectionStatus.HEALTHY, result
            [expiry] = result.expiries
            assert (expiry.what, expiry.at) == (ExpiryKind.SERVER_CERTIFICATE, until.timestamp())
            assert result.server_address == LOOPBACK
