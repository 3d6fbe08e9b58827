"""The Unix socket, and health on a listener of its own."""

from __future__ import annotations

import socket
import stat
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest

from floe_monitor.daemon.http_surface import bind
from floe_monitor.settings.http_models import HttpSettings
from floe_monitor.web.health import Health, create_health_app
from floe_monitor.web.listeners import ListenError, listen, listen_unix
from floe_monitor.web.protocol import Limits
from floe_monitor.web.server import Service, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DESCRIPTORS = Path("/proc/self/fd")


@asynccontextmanager
async def running(*services: Service) -> AsyncIterator[None]:
    async with anyio.create_task_group() as tasks:
        await tasks.start(serve, *services)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def test_the_socket_has_its_mode_and_answers_like_loopback(surface: Any, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    listener = listen_unix(str(path), 0o640)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert listener.url == f"unix:{path}"
    async with (
        running(Service(surface.app(), (listener,))),
        httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://any.example"
        ) as client,
    ):
        assert (await client.get("/api/v1/targets")).status_code == 200
        assert (await client.post("/-/reload")).status_code == 200
    assert [(event.by, event.client) for event in surface.events] == [("local", "unix")]
    assert not path.exists()


async def test_a_socket_whose_proxy_is_believed_is_from_outside(surface: Any, tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    app = surface.app(proxy={"addresses": ["unix"], "user_header": "Remote-User"})
    async with (
        running(Service(app, (listen_unix(str(path), 0o600),))),
        httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(path)), base_url="http://x") as client,
    ):
        assert (await client.get("/api/v1/targets")).status_code == 401
        named = {"remote-user": "carol", "x-forwarded-for": "198.51.100.7"}
        assert (await client.get("/api/v1/targets", headers=named)).status_code == 200
        assert (await client.post("/-/reload", headers=named)).status_code == 403
    assert [(event.by, event.client) for event in surface.events] == [("forwarded carol", "198.51.100.7")]


def test_what_an_earlier_run_left_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    first = listen_unix(str(path), 0o600)
    with pytest.raises(ListenError, match=r"another process listens there .*set http\.socket\.path"):
        listen_unix(str(path), 0o600)
    assert path.exists()
    first.close()
    assert not path.exists()
    path.write_text("mine")
    with pytest.raises(ListenError, match="something else than a socket is there"):
        listen_unix(str(path), 0o600)
    assert path.read_text() == "mine"
    with pytest.raises(ListenError, match=r"its directory does not exist; check http\.socket\.path"):
        listen_unix(str(tmp_path / "none" / "x"), 0o600)


def test_another_daemons_socket_is_left_alone_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    first = listen_unix(str(path), 0o600)
    path.unlink()
    second = listen_unix(str(path), 0o600)
    first.close()
    assert path.exists()
    second.close()


async def test_health_alone_answers_on_its_listener(surface: Any) -> None:
    listener = listen("127.0.0.1", 0)
    health = Health(surface.state, lambda: surface.limits)
    app = create_health_app(health, HttpSettings)
    async with (
        running(Service(app, (listener,), Limits.for_health(1024))),
        httpx.AsyncClient(base_url=listener.url) as client,
    ):
        assert (await client.get("/healthz")).text == "ok\n"
        assert (await client.get("/readyz", headers={"accept": "application/json"})).json()["status"] == "ok"
        for method, path in (("GET", "/"), ("GET", "/metrics"), ("POST", "/-/reload"), ("POST", "/healthz")):
            answer = await client.request(method, path)
            assert answer.status_code in (404, 405)
            assert "/healthz and /readyz alone are answered here" in answer.json()["detail"]
            assert answer.headers["x-content-type-options"] == "nosniff"


async def test_health_answers_where_all_connections_of_the_rest_are_in_use(surface: Any) -> None:
    main, own = listen("127.0.0.1", 0), listen("127.0.0.1", 0)
    health = create_health_app(Health(surface.state, lambda: surface.limits), HttpSettings)
    services = (
        Service(surface.app(), (main,), Limits(connections=4, reserve=2)),
        Service(health, (own,), Limits.for_health(1024)),
    )
    async with running(*services):
        held = [await anyio.connect_tcp("127.0.0.1", main.port) for _ in range(30)]
        async with httpx.AsyncClient(base_url=own.url) as client:
            assert (await client.get("/healthz")).status_code == 200
        for stream in held:
            await stream.aclose()


def test_all_is_bound_or_nothing_and_the_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for http, key in (
            ({"port": port}, "set http.port"),
            ({"port": 0, "health": {"port": port}}, "set http.health.port"),
            ({"port": 0, "socket": {"path": str(tmp_path)}}, "set http.socket.path"),
            ({"port": 0, "tls": {"certificate": "none.pem", "key": "none.pem"}}, "http.tls.certificate"),
        ):
            before = len(list(DESCRIPTORS.iterdir()))
            with pytest.raises(ListenError, match=key):
                bind(HttpSettings.model_validate(http))
            assert len(list(DESCRIPTORS.iterdir())) == before
    only = bind(
        HttpSettings.model_validate({"socket": {"path": str(path), "only": True}, "health": {"port": 0}})
    )
    try:
        assert [listener.url for listener in only.main] == [f"unix:{path}"]
        assert only.health is not None
        assert only.health.host == "127.0.0.1"
    finally:
        only.close()
    assert not path.exists()
