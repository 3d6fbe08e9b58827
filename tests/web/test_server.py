"""Real sockets, held open as clients should not."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from floe_monitor.web.listeners import ListenError, listen
from floe_monitor.web.protocol import Limits
from floe_monitor.web.server import Service, serve

if TYPE_CHECKING:
    from starlette.requests import Request

QUICK = Limits(connections=8, request=0.4, answer=0.5, keep_alive=1, head_bytes=2_000, body_bytes=5_000)


def address(client: Any) -> tuple[str, int]:
    return client.base_url.host, client.base_url.port


async def until_closed(stream: Any) -> bytes:
    """Everything the server says until it closes."""
    said = b""
    with anyio.fail_after(5):
        try:
            while True:
                said += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return said


async def test_a_silent_connection_is_closed(surface: Any, serving: Any) -> None:
    async with serving(surface.app(), limits=QUICK) as client:
        stream = await anyio.connect_tcp(*address(client))
        async with stream:
            assert await until_closed(stream) == b""


async def test_a_header_that_trickles_is_cut(surface: Any, serving: Any, within: Any) -> None:
    async with (
        serving(surface.app(), limits=QUICK) as client,
        await anyio.connect_tcp(*address(client)) as stream,
    ):
        await stream.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        with within(1, margin=1), pytest.raises(anyio.BrokenResourceError):  # noqa: PT012 - at some turn
            with anyio.fail_after(60):
                while True:
                    await stream.send(b"x-slow: 1\r\n")
                    await anyio.sleep(0.05)


async def test_a_body_that_never_ends_is_cut(surface: Any, serving: Any) -> None:
    async with (
        serving(surface.app(), limits=QUICK) as client,
        await anyio.connect_tcp(*address(client)) as stream,
    ):
        await stream.send(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        said = await until_closed(stream)
    assert said.startswith(b"HTTP/1.1 200")


async def test_too_large_a_head_and_body_are_refused(surface: Any, serving: Any) -> None:
    async with serving(surface.app(), limits=QUICK) as client:
        async with await anyio.connect_tcp(*address(client)) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nx: " + b"a" * 3_000)
            assert (await until_closed(stream)).startswith(b"HTTP/1.1 431 ")
        async with await anyio.connect_tcp(*address(client)) as stream:
            await stream.send(b"GET /" + b"a" * 3_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await until_closed(stream)).startswith(b"HTTP/1.1 431 ")
        async with await anyio.connect_tcp(*address(client)) as stream:
            head = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n"
            await stream.send(head + b"a" * 9_000)
            assert (await until_closed(stream)).startswith(b"HTTP/1.1 413 ")
        assert (await client.get("/healthz")).status_code == 200
    assert surface.control.reloads == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 300,
        b"GET http:// HTTP/1.1\r\n\r\n",
    ],
)
async def test_garbage_is_answered_or_cut_and_the_rest_go_on(
    surface: Any, serving: Any, garbage: bytes
) -> None:
    async with serving(surface.app(), limits=QUICK) as client:
        async with await anyio.connect_tcp(*address(client)) as stream:
            await stream.send(garbage)
            said = await until_closed(stream)
        assert said == b"" or said.startswith(b"HTTP/1.1 4")
        assert (await client.get("/healthz")).status_code == 200


async def test_silent_connections_cannot_keep_a_health_check_out(surface: Any, serving: Any) -> None:
    patient = Limits(connections=8, request=30.0)
    async with serving(surface.app(), limits=patient) as client:
        held = [await anyio.connect_tcp(*address(client)) for _ in range(40)]
        for stream in held[-8:]:
            await stream.send(b"GET / HTTP/1.1\r\nHost:")
        for _ in range(3):
            assert (await client.get("/healthz")).status_code == 200
        for stream in held:
            await stream.aclose()


async def test_keep_alive_and_pipelining_work(surface: Any, serving: Any) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with (
        serving(surface.app(), limits=QUICK) as client,
        await anyio.connect_tcp(*address(client)) as stream,
    ):
        for _ in range(3):
            await stream.send(request)
            said = b""
            while not said.endswith(b"ok\n"):
                said += await stream.receive()
            assert said.startswith(b"HTTP/1.1 200")
        await stream.send(request * 3)
        said = await until_closed(stream)
    assert said.count(b"HTTP/1.1 200") == 3
    assert b"\r\ndate: " in said
    assert b"\r\nserver:" not in said.lower()


def accepted_without_delay(port: int) -> list[bool]:
    """TCP_NODELAY of every connection of this process that was accepted at `port`."""
    found = []
    for entry in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(entry.stat().st_mode):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as one:
                if one.family == socket.AF_INET and one.getsockname()[1] == port and one.getpeername():
                    found.append(bool(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
    return found


async def test_no_answer_waits_for_an_acknowledgement(surface: Any, serving: Any) -> None:
    """Read from the sockets: what a clock says of the 40 ms is noise on a busy machine."""
    async with serving(surface.app()) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert accepted_without_delay(client.base_url.port) == [True]


async def test_an_answer_nobody_takes_is_dropped(surface: Any, serving: Any) -> None:
    surface.page.body = b"x" * 50_000_000
    async with serving(surface.app(), limits=QUICK) as client:
        lazy = socket.create_connection(address(client))
        try:
            lazy.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with anyio.fail_after(60):
                for held in (True, False):  # taken on, and dropped
                    while bool(accepted_without_delay(client.base_url.port)) is not held:  # noqa: ASYNC110
                        await anyio.sleep(0.02)
            lazy.settimeout(60)

            def drain() -> int:
                got = 0
                try:
                    while chunk := lazy.recv(1_000_000):
                        got += len(chunk)
                except ConnectionResetError:
                    pass
                return got

            assert await anyio.to_thread.run_sync(drain) < 50_000_000
        finally:
            lazy.close()


async def test_stopping_is_bounded_whatever_is_open(surface: Any, within: Any) -> None:
    async def hang(request: Request) -> Response:
        await anyio.sleep(3600)
        return Response()

    app = Starlette(routes=[Route("/hang", hang)])
    listener = listen("127.0.0.1", 0)
    streams = []
    stack = ExitStack()
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(serve, Service(app, (listener,)), grace=0.3))
        for opening in (b"", b"GET /ha", b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n"):
            stream = await anyio.connect_tcp("127.0.0.1", listener.port)
            streams.append(stream)
            if opening:
                await stream.send(opening)
        await anyio.sleep(0.1)
        stack.enter_context(within(0.3, margin=1.2))
        tasks.cancel_scope.cancel()
    stack.close()
    for stream in streams:
        await stream.aclose()
    with pytest.raises(OSError, match=r"refused|failed"):
        await anyio.connect_tcp("127.0.0.1", listener.port)


async def test_an_answer_under_way_is_finished_when_stopping() -> None:
    async def slow(request: Request) -> Response:
        await anyio.sleep(0.3)
        return Response("done")

    listener = listen("127.0.0.1", 0)
    async with anyio.create_task_group() as tasks:
        app = Starlette(routes=[Route("/", slow)])
        await tasks.start(partial(serve, Service(app, (listener,)), grace=3))
        stream = await anyio.connect_tcp("127.0.0.1", listener.port)
        await stream.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await anyio.sleep(0.1)
        tasks.cancel_scope.cancel()
    async with stream:
        assert (await until_closed(stream)).endswith(b"done")


def test_a_busy_port_is_one_clear_error() -> None:
    first = listen("127.0.0.1", 0)
    try:
        with pytest.raises(
            ListenError, match=rf"cannot listen on 127\.0\.0\.1:{first.port}: .*set http\.port"
        ):
            listen("127.0.0.1", first.port)
    finally:
        first.close()


def test_an_address_that_is_not_ours_is_named() -> None:
    with pytest.raises(ListenError, match=r"192\.0\.2\.1:9464: .*set http\.host"):
        listen("192.0.2.1", 9464)
    for name in ("no such host.invalid", "a" * 70, "a..b"):
        with pytest.raises(ListenError, match=r"check http\.host"):
            listen(name, 9464)


@pytest.mark.parametrize(
    ("host", "shown", "loopback", "reached"),
    [
        ("127.0.0.1", "127.0.0.1", True, ("127.0.0.1",)),
        ("0.0.0.0", "localhost", False, ("127.0.0.1",)),  # noqa: S104 - closed at once
        ("::1", "[::1]", True, ("::1",)),
        ("::", "localhost", False, ("127.0.0.1", "::1")),
    ],
)
def test_port_zero_tells_the_real_port_a_url_and_who_can_connect(
    host: str, shown: str, loopback: bool, reached: tuple[str, ...]
) -> None:
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    listener = listen(host, 0)
    try:
        assert listener.port > 0
        assert listener.url == f"http://{shown}:{listener.port}"
        assert listener.identity.local is loopback
        for address in reached:
            socket.create_connection((address, listener.port), timeout=5).close()
    finally:
        listener.close()


def has_ipv6() -> bool:
    try:
        listen("::1", 0).close()
    except ListenError:
        return False
    return True


def test_a_name_is_listened_on_where_the_machine_has_its_addresses() -> None:
    """`localhost` of most tables of hosts, with one address the machine lacks."""
    resolve = socket.getaddrinfo

    def resolved(host: str, port: int, **rest: Any) -> Any:
        return [*resolve("192.0.2.1", port, **rest), *resolve("127.0.0.1", port, **rest)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolved)
        listener = listen("somewhere.example", 0)
    try:
        assert [held.getsockname()[0] for held in listener.sockets] == ["127.0.0.1"]
        assert listener.identity.local
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("descriptors", "connections", "reserve"),
    [(64, 16, 4), (256, 64, 16), (1024, 256, 64), (1 << 20, 256, 64)],
)
def test_connections_take_a_third_of_the_descriptors_at_most(
    descriptors: int, connections: int, reserve: int
) -> None:
    limits = Limits.within(descriptors)
    assert (limits.connections, limits.reserve) == (connections, reserve)
