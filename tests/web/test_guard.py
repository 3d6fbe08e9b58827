from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from floe_monitor.credentials.hashing import new_token, token_hash
from floe_monitor.web.listener_identity import ListenerIdentity

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


LOOPBACK = ListenerIdentity("loopback", "127.0.0.1")


def connect(app: Any, base: str = "http://127.0.0.1:9464") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base)


@pytest.fixture
async def local(surface: Any) -> AsyncIterator[httpx.AsyncClient]:
    async with connect(surface.app(LOOPBACK)) as client:
        yield client


async def test_every_answer_carries_the_security_headers(local: httpx.AsyncClient) -> None:
    for path in ("/", "/metrics", "/nowhere", "/api/v1/targets", "/assets/page.js"):
        headers = (await local.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:9464", "sec-fetch-site": "cross-site"},
        {"origin": "http://127.0.0.1:1"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "https://evil.example", "sec-fetch-site": "same-origin"},
    ],
)
async def test_another_sites_page_cannot_act(
    surface: Any, local: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("/-/reload", "/api/v1/targets/dev/validate"):
        answer = await local.post(path, headers=headers)
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
    assert surface.control.reloads == 0
    assert surface.control.validated == []


async def test_our_own_page_and_scripts_can_act(surface: Any, local: httpx.AsyncClient) -> None:
    own = {"origin": "http://127.0.0.1:9464", "sec-fetch-site": "same-origin"}
    assert (await local.post("/-/reload", headers=own)).status_code == 200
    assert (await local.post("/-/reload")).status_code == 200
    assert surface.control.reloads == 2


async def test_a_rebound_name_reads_nothing_from_a_loopback_listener(surface: Any) -> None:
    async with connect(surface.app(LOOPBACK), "http://evil.example:9464") as client:
        for path in ("/metrics", "/api/v1/targets", "/"):
            assert (await client.get(path)).status_code == 403
        own = {"origin": "http://evil.example:9464", "sec-fetch-site": "same-origin"}
        assert (await client.post("/-/reload", headers=own)).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost:9464", "127.0.0.1", "[::1]:9464", "dev.localhost:1", "LOCALHOST."]
)
async def test_local_names_pass(local: httpx.AsyncClient, host: str) -> None:
    assert (await local.get("/healthz", headers={"host": host})).status_code == 200


async def test_a_public_listener_is_read_under_any_name_but_changed_under_known_ones(surface: Any) -> None:
    token = new_token()
    app = surface.app(
        ListenerIdentity("network", "0.0.0.0"),  # noqa: S104 - nothing is bound
        allowed_hosts=["monitor.example"],
        tokens={"ci": {"hash": token_hash(token), "scopes": ["act"]}},
    )
    right = {"authorization": f"Bearer {token}"}
    for host, allowed in (("10.0.0.7:9464", True), ("monitor.example", True), ("other.example", False)):
        async with connect(app, f"http://{host}") as client:
            assert (await client.get("/metrics")).status_code == 200
            own = {"origin": f"http://{host}", "sec-fetch-site": "same-origin"}
            answer = await client.post("/-/reload", headers=own | right)
            assert answer.status_code == (200 if allowed else 403)
            assert (await client.post("/-/reload", headers=right)).status_code == 200


@pytest.mark.parametrize(
    ("host", "origin", "site", "allowed"),
    [
        # nginx' own Host, a port that was cut, and both as the browser sent them.
        ("127.0.0.1:19468", "https://monitor.example", "same-origin", True),
        ("monitor.example", "https://monitor.example:8443", "same-origin", True),
        ("monitor.example:8443", "https://monitor.example:8443", "same-origin", True),
        ("monitor.example", "http://monitor.example", None, True),
        # Without the browser's word the origin must be the one of Host, port included.
        ("127.0.0.1:19468", "http://monitor.example", None, False),
        ("monitor.example", "http://monitor.example:8080", None, False),
        ("127.0.0.1:19468", "https://other.example", "same-origin", False),
        ("127.0.0.1:19468", "https://monitor.example:8443", "same-site", False),
    ],
)
async def test_a_proxy_may_change_the_host(
    surface: Any, host: str, origin: str, site: str | None, allowed: bool
) -> None:
    headers = {"host": host, "origin": origin, **({"sec-fetch-site": site} if site else {})}
    async with connect(surface.app(LOOPBACK, allowed_hosts=["monitor.example"])) as client:
        answer = await client.post("/-/reload", headers=headers)
    assert answer.status_code == (200 if allowed else 403)
    if not allowed and site != "same-site":
        detail = answer.json()["detail"]
        assert "proxy_set_header Host $http_host" in detail or "http.allowed_hosts" in detail


async def test_an_origin_that_is_none_is_another_one(local: httpx.AsyncClient) -> None:
    assert (await local.post("/-/reload", headers={"origin": "http://[::1"})).status_code == 403


async def test_the_external_pages_origin_is_our_own_whatever_the_proxy_passes_on(surface: Any) -> None:
    app = surface.app(LOOPBACK, external_url="https://tools.example:8443/floe")
    async with connect(app, "http://127.0.0.1:9464") as client:
        for origin, status in (
            ("https://tools.example:8443", 200),
            ("https://TOOLS.example:8443", 200),
            ("http://tools.example:8443", 403),
            ("https://tools.example", 403),
        ):
            assert (await client.post("/-/reload", headers={"origin": origin})).status_code == status, origin
        # Read under its name, as a proxy passes it on, on loopback.
        assert (await client.get("/", headers={"host": "tools.example:8443"})).status_code == 200


async def test_a_path_prefix_may_come_along_or_be_cut_off(surface: Any) -> None:
    app = surface.app(LOOPBACK, external_url="https://tools.example/floe/monitor")
    async with connect(app) as client:
        for prefix in ("", "/floe/monitor"):
            for path in (
                "/",
                "/healthz",
                "/metrics",
                "/api/v1/targets/dev",
                "/targets/dev",
                "/assets/page.css",
            ):
                assert (await client.get(prefix + path)).status_code == 200, prefix + path
            assert (await client.post(f"{prefix}/-/reload")).status_code == 200
        moved = await client.get("/floe/monitor")
        assert (moved.status_code, moved.headers["location"]) == (308, "https://tools.example/floe/monitor/")
        for path in ("/floe", "/floe/monitors", "/floe/monitor/floe/monitor/x"):
            assert (await client.get(path)).status_code == 404
        page = (await client.get("/floe/monitor/nowhere/at/all", headers={"accept": "text/html"})).text
        assert 'href="../../assets/page.css' in page


async def test_a_prefix_opens_no_door(surface: Any) -> None:
    app = surface.app(ListenerIdentity("network"), external_url="https://tools.example/floe")
    async with connect(app) as client:
        for path in ("/floe/api/v1/targets", "/floe//healthz", "/floe/healthz/", "/floe/assets"):
            assert (await client.get(path)).status_code == 401, path
        assert (await client.post("/floe/-/reload")).status_code == 401
        assert (await client.get("/floe/healthz")).status_code == 200
