"""What a client can fill without end has a bound, and health answers meanwhile. Real sockets, no clocks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from floe_monitor.web.admission import Admission
from floe_monitor.web.protocol import Limits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.requests import Request

MEGABYTE = 2**20
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENT = Limits(request=60.0, answer=60.0, keep_alive=60)


def address(client: httpx.AsyncClient) -> tuple[str, int]:
    assert client.base_url.port is not None
    return client.base_url.host, client.base_url.port


def connection(client: httpx.AsyncClient) -> socket.socket:
    """With small buffers of the kernel, so that what it holds counts for little."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    made.connect(address(client))
    made.setblocking(False)
    return made


async def send_until_refused(made: socket.socket, block: bytes, most: int) -> int:
    """Bytes taken before the server took no more for a hundred turns of its loop, or cut the connection."""
    sent = refused = 0
    while sent < most and refused < 100:
        try:
            sent += made.send(block)
            refused = 0
        except BlockingIOError:
            refused += 1
        except OSError:
            break
        await asyncio.sleep(0.001 if refused else 0)
    return sent


def requests_in_memory() -> int:
    return sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())


async def test_requests_whose_answers_nobody_takes_stay_with_their_client(surface: Any, serving: Any) -> None:
    async with serving(surface.app(), limits=PATIENT) as client:
        with contextlib.closing(connection(client)) as greedy:
            sent = await send_until_refused(greedy, HEALTH * 4_000, 64 * MEGABYTE)
            assert 0 < sent < 16 * MEGABYTE
            assert requests_in_memory() < 100
            assert (await client.get("/healthz")).status_code == 200


async def test_every_pipelined_request_is_answered_in_its_order(serving: Any) -> None:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(f"number {request.query_params['n']}.")

    count = 3_000
    requests = b"".join(b"GET /?n=%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(count))
    app = Starlette(routes=[Route("/", echo)])
    async with (
        serving(app, limits=PATIENT) as client,
        await anyio.connect_tcp(*address(client)) as stream,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(stream.send, requests)
        said = b""
        last = b"number %d." % (count - 1)
        with anyio.fail_after(60):
            while not said.endswith(last):
                said += await stream.receive()
    bodies = [part.rpartition(b"\r\n\r\n")[2] for part in said.split(b".")[:-1]]
    numbers = [int(body.removeprefix(b"number ")) for body in bodies if body.startswith(b"number ")]
    assert numbers == list(range(count))


ENDLESS = {
    "trailer fields": (b"0\r\n", b"".join(b"T%d: xxxxxxxxxxxxxxxxxxxx\r\n" % n for n in range(1_000))),
    "chunks of one byte": (b"", b"1\r\nx\r\n" * 5_000),
    "chunk extensions": (b"", b"1;" + b"x" * 10_000 + b"\r\nx\r\n"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_frames_a_body_is_bounded(surface: Any, serving: Any, kind: str) -> None:
    begin, block = ENDLESS[kind]
    async with serving(surface.app(), limits=PATIENT) as client:
        with contextlib.closing(connection(client)) as endless:
            head = b"POST /nope HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            await asyncio.get_running_loop().sock_sendall(endless, head + begin)
            assert await send_until_refused(endless, block, 64 * MEGABYTE) < 16 * MEGABYTE
            with anyio.fail_after(10):
                await until_ended(endless)
        assert (await client.get("/healthz")).status_code == 200


async def until_ended(made: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while await asyncio.get_running_loop().sock_recv(made, 65_536):
            pass


async def test_trailer_fields_are_no_headers(serving: Any) -> None:
    async def names(request: Request) -> Response:
        body = await request.body()
        return PlainTextResponse(f"{body.decode()} {sorted(request.headers)}")

    app = Starlette(routes=[Route("/", names, methods=["POST"])])
    async with serving(app) as client, await anyio.connect_tcp(*address(client)) as stream:
        await stream.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nhi\r\n0\r\nOrigin: late\r\n\r\n"
        )
        said = b""
        while not said.endswith(b"]"):
            said += await stream.receive()
    assert said.endswith(b"hi ['host', 'transfer-encoding']")


async def test_clients_that_never_read_keep_no_health_check_out(surface: Any, serving: Any) -> None:
    limits = Limits(connections=8, reserve=4, request=60.0, answer=60.0)
    async with serving(surface.app(), limits=limits) as client, anyio.create_task_group() as tasks:

        async def flood() -> None:
            while True:
                with contextlib.closing(connection(client)) as greedy:
                    await send_until_refused(greedy, HEALTH * 500, 256 * MEGABYTE)

        for _ in range(12):
            tasks.start_soon(flood)
        for _ in range(20):
            surface.state.scheduler_beat = time.monotonic()  # no scheduler runs beside
            # One that a busy machine keeps from asking is closed for those that come after it: as a kubelet
            # does, ask again.
            for attempt in range(3):
                async with httpx.AsyncClient(base_url=client.base_url, timeout=30) as probe:
                    try:
                        assert (await probe.get("/healthz")).status_code == 200
                    except httpx.ReadError:
                        assert attempt < 2
                    else:
                        break
        tasks.cancel_scope.cancel()


async def statuses(streams: Iterable[Any], wanted: int) -> Counter[bytes]:
    """Of the first `wanted` answers on any of the streams."""
    found: Counter[bytes] = Counter()
    enough = anyio.Event()

    async def read(stream: Any) -> None:
        with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            found[(await stream.receive())[9:12]] += 1
        if found.total() >= wanted:
            enough.set()

    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            for stream in streams:
                tasks.start_soon(read, stream)
            await enough.wait()
            tasks.cancel_scope.cancel()
    return found


async def test_validations_that_hang_lock_nothing_else_out(surface: Any, serving: Any) -> None:
    surface.control.delay = 3_600
    request = b"POST /api/v1/targets/dev/validate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    async with serving(surface.app()) as client, contextlib.AsyncExitStack() as held:
        streams = []
        for _ in range(300):
            stream = await held.enter_async_context(await anyio.connect_tcp(*address(client)))
            with contextlib.suppress(anyio.BrokenResourceError):
                await stream.send(request)
            streams.append(stream)
        refused = await statuses(streams, 150)
        assert set(refused) == {b"503"}
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/targets", "/"):
            assert (await client.get(path)).status_code == 200
        more = await client.post("/api/v1/targets/dev/validate")
        assert (more.status_code, more.headers["retry-after"]) == (503, "1")
        assert more.headers["content-type"] == "application/problem+json"
        assert surface.control.validated == ["dev"]
        # Another action has room beside it.
        assert (await client.post("/-/reload")).status_code == 200


async def test_each_kind_has_a_share_of_its_own() -> None:
    begun: Counter[str] = Counter()
    release = anyio.Event()

    async def hang(request: Request) -> Response:
        begun[request.url.path] += 1
        await release.wait()
        return Response()

    routes = [Route("/{name}", hang, methods=["GET", "POST"])]
    app = Admission(Starlette(routes=routes), reads=3, actions=4, same_action=2)
    answers: Counter[int] = Counter()
    async with (
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask(method: str, path: str) -> None:
            answers[(await client.request(method, path)).status_code] += 1

        for _ in range(5):
            tasks.start_soon(ask, "GET", "/read")
            for action in ("/a", "/b", "/c"):
                tasks.start_soon(ask, "POST", action)
            tasks.start_soon(ask, "GET", "/healthz")
        with anyio.fail_after(10):
            while answers[503] + begun.total() < 25:  # noqa: ASYNC110 - a count, which signals nothing
                await asyncio.sleep(0.001)
        assert begun["/read"] == 3
        assert begun["/healthz"] == 5
        assert begun["/a"] + begun["/b"] + begun["/c"] == 4
        assert max(begun["/a"], begun["/b"], begun["/c"]) == 2
        release.set()
    assert answers == {503: 13, 200: 12}
    assert app.under_way == 0
