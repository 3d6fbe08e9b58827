"""Where a request comes from, of what a peer and its proxies say."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers

from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.web.access import AccessRules, wanted_scope
from floe_monitor.web.listener_identity import ListenerIdentity
from floe_monitor.web.rate_limit import RateLimit

NETWORK, LOOPBACK, SOCKET = (
    ListenerIdentity("network"),
    ListenerIdentity("loopback"),
    ListenerIdentity("socket"),
)
PROXY = {"addresses": ["10.0.0.0/8", "2001:db8::/32", "unix"]}


def rules(**http: Any) -> AccessRules:
    return AccessRules(HttpSettings.model_validate(http))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address", "proxied"),
    [
        ("198.51.100.7", ["203.0.113.1"], "198.51.100.7", False),
        ("10.1.2.3", ["203.0.113.1"], "203.0.113.1", True),
        ("10.1.2.3", ["192.0.2.66, 203.0.113.1, 10.9.9.9"], "203.0.113.1", True),
        ("10.1.2.3", ["192.0.2.66", "203.0.113.1"], "203.0.113.1", True),
        ("10.1.2.3", ["10.0.0.1"], "10.1.2.3", True),
        ("10.1.2.3", ["203.0.113.1, junk"], "10.1.2.3", True),
        ("10.1.2.3", [], "10.1.2.3", True),
        ("::ffff:10.1.2.3", ["::ffff:203.0.113.1"], "203.0.113.1", True),
        ("2001:db8::5", ["[2001:4860::1]"], "2001:4860::1", True),
        ("fe80::1%eth0", ["203.0.113.1"], "fe80::1", False),
        ("10.1.2.3", ["203.0.113.1" + ", 10.0.0.1" * 500], "10.1.2.3", True),
        (None, ["203.0.113.1"], "203.0.113.1", True),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy(
    peer: str | None, forwarded: list[str], address: str, proxied: bool
) -> None:
    headers = Headers(raw=[(b"x-forwarded-for", each.encode()) for each in forwarded])
    client = rules(proxy=PROXY).client(peer, headers, NETWORK)
    assert (client.address, client.proxied, client.local) == (address, proxied, False)


def test_nothing_is_believed_without_a_proxy() -> None:
    headers = Headers({"x-forwarded-for": "203.0.113.1", "x-forwarded-user": "root"})
    for peer, listener in (("127.0.0.1", LOOPBACK), (None, SOCKET)):
        client = rules().client(peer, headers, listener)
        assert (client.proxied, client.local) == (False, True)
        assert rules().forwarded(client, headers) is None
    # Addresses alone: who asks is not believed.
    client = rules(proxy=PROXY).client("10.0.0.1", headers, NETWORK)
    assert rules(proxy=PROXY).forwarded(client, headers) is None


def test_what_a_request_wants_follows_from_method_and_path() -> None:
    assert wanted_scope("GET", "/healthz") is None
    assert wanted_scope("GET", "/assets/page.js") is None
    assert wanted_scope("HEAD", "/metrics") == "metrics"
    for path in ("/", "/metrics/", "/healthz/", "//healthz", "/Metrics", "/assets", "/api/v1/status"):
        assert wanted_scope("GET", path) == "read", path
    for method in ("POST", "PUT", "DELETE", "PATCH", "get", "ODD"):
        assert wanted_scope(method, "/assets/x") == "act"


def test_a_bucket_fills_again_and_the_table_is_bounded() -> None:
    now = 0.0
    limit = RateLimit(2, 4, most=3, clock=lambda: now)
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    now = 0.5
    assert [limit.take("a") for _ in range(2)] == [0, 1]
    now = 100.0
    assert [limit.take("a") for _ in range(5)] == [0, 0, 0, 0, 1]
    for client in ("b", "c", "d"):
        assert limit.take(client) == 0
    assert len(limit) == 3
    assert limit.wait("a") == 0  # forgotten: it begins anew
    slow = RateLimit(0.1, 1, clock=lambda: now)
    assert (slow.take("a"), slow.take("a")) == (0, 10)
