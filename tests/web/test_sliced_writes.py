"""Large answers leave in slices, whole, and within the bounds of any answer."""

from __future__ import annotations

import asyncio
import socket
import time
import weakref
from typing import Any

import anyio
import anyio.to_thread
import pytest

from floe_monitor.web.protocol import Limits
from floe_monitor.web.sliced_writes import SLICE, SlicedTransport

LARGE = bytes(range(256)) * 40_000
"""Ten megabytes of which no part is like its neighbour."""
REQUEST = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Taking:
    """A transport that takes what it is given until it is said to be full."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.closed = self.aborted = False
        self.on_write: Any = None

    def write(self, data: memoryview) -> None:
        self.taken.append(bytes(data))
        if self.on_write is not None:
            self.on_write()

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return 0


class Wired:
    def __init__(self) -> None:
        self.below = Taking()
        self.told: list[str] = []
        loop = asyncio.get_running_loop()
        below: Any = self.below
        self.above = SlicedTransport(
            below, loop, lambda: self.told.append("hold"), lambda: self.told.append("release")
        )

    async def all_given(self) -> None:
        for _ in range(100):
            await asyncio.sleep(0)
        assert not self.above.waits


@pytest.fixture
async def wired() -> Wired:
    return Wired()


async def test_what_is_small_is_given_on_at_once(wired: Wired) -> None:
    wired.above.write(b"a")
    wired.above.write(b"b" * SLICE)
    assert [len(each) for each in wired.below.taken] == [1, SLICE]
    assert wired.told == []


async def test_a_slice_in_each_turn_of_the_loop(wired: Wired) -> None:
    wired.above.write(LARGE)
    wired.above.write(b"end")
    counts = []
    while wired.above.waits:
        counts.append(len(wired.below.taken))
        await asyncio.sleep(0)
    assert counts == sorted(set(counts)), "more or less than a slice in a turn"
    assert max(map(len, wired.below.taken)) == SLICE
    assert b"".join(wired.below.taken) == LARGE + b"end"
    assert wired.told == ["hold", "release"]


async def test_nothing_is_given_to_a_full_transport(wired: Wired) -> None:
    wired.below.on_write = wired.above.pause
    wired.above.write(LARGE)
    for given in range(1, 6):
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(wired.below.taken) == given
        assert wired.above.get_write_buffer_size() == len(LARGE) - given * SLICE
        wired.above.resume()
    assert wired.told == ["hold"], "released although most of it waits"
    wired.below.on_write = None
    wired.above.resume()
    await wired.all_given()
    assert b"".join(wired.below.taken) == LARGE
    assert wired.told == ["hold", "release"]


async def test_a_close_waits_for_what_was_written_before(wired: Wired) -> None:
    wired.above.write(LARGE)
    wired.above.close()
    assert wired.above.is_closing()
    assert not wired.below.closed
    await wired.all_given()
    assert wired.below.closed
    assert b"".join(wired.below.taken) == LARGE


async def test_an_abort_drops_what_waits(wired: Wired) -> None:
    wired.above.write(LARGE)
    wired.above.abort()
    given = len(wired.below.taken)
    for _ in range(3):
        await asyncio.sleep(0)
    assert wired.below.aborted
    assert len(wired.below.taken) == given
    assert wired.above.get_write_buffer_size() == 0


async def test_all_is_given_where_there_is_no_other_turn(wired: Wired) -> None:
    wired.above.write(LARGE)
    wired.above.write(b"end")
    wired.above.give_all()
    assert b"".join(wired.below.taken) == LARGE + b"end"
    assert wired.told == ["hold", "release"]
    await wired.all_given()


async def test_what_is_written_to_a_full_transport_waits(wired: Wired) -> None:
    wired.above.pause()
    wired.above.write(LARGE)
    await asyncio.sleep(0)
    assert wired.below.taken == []
    wired.above.resume()
    await wired.all_given()
    assert b"".join(wired.below.taken) == LARGE
    assert wired.told == ["hold", "release"]


async def test_what_waits_is_dropped_where_the_connection_is_lost(wired: Wired) -> None:
    wired.above.write(LARGE)
    wired.below.aborted = True
    await asyncio.sleep(0)
    assert not wired.above.waits


async def test_whoever_was_told_is_let_go_of(wired: Wired) -> None:
    class Protocol:
        def hold(self) -> None:
            """Nothing."""

    protocol = Protocol()
    gone = weakref.ref(protocol)
    below: Any = wired.below
    above = SlicedTransport(below, asyncio.get_running_loop(), protocol.hold, protocol.hold)
    above.write(LARGE)
    above.forget()
    del protocol
    assert gone() is None, "kept until a garbage collection"


def connection(client: Any) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", client.base_url.port), timeout=60)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    return found


def read_slowly(taking: socket.socket, pause: float = 0.0005) -> bytes:
    """Until the server closes, or one answer to `REQUEST` is whole."""
    got = bytearray()
    while b"\r\n\r\n" not in got or len(got) < got.index(b"\r\n\r\n") + 4 + len(LARGE):
        chunk = taking.recv(100_000)
        if not chunk:
            break
        got += chunk
        time.sleep(pause)
    return bytes(got)


@pytest.mark.parametrize("end", ["kept", "half-closed", "connection: close"])
async def test_a_slow_client_is_sent_all(surface: Any, serving: Any, end: str) -> None:
    surface.page.body = LARGE
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with serving(surface.app()) as client:
        with connection(client) as taking:
            closing = b"Connection: close\r\n" if end == "connection: close" else b""
            taking.sendall(REQUEST.replace(b"\r\n\r\n", b"\r\n" + closing + b"\r\n"))
            if end == "half-closed":
                assert await anyio.to_thread.run_sync(taking.recv, 10, socket.MSG_PEEK)
                taking.shutdown(socket.SHUT_WR)
            whole = await anyio.to_thread.run_sync(read_slowly, taking)
            assert whole.partition(b"\r\n\r\n")[2] == LARGE
            if end != "kept":
                assert await anyio.to_thread.run_sync(taking.recv, 10) == b""
    assert faults == []


async def test_answers_to_pipelined_requests_do_not_mix(surface: Any, serving: Any) -> None:
    surface.page.body = LARGE
    async with serving(surface.app()) as client:
        with connection(client) as taking:
            taking.sendall(
                2 * REQUEST + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )

            def read_all() -> bytes:
                got = bytearray()
                while chunk := taking.recv(1_000_000):
                    got += chunk
                return bytes(got)

            whole = await anyio.to_thread.run_sync(read_all)
    first, second, third, healthy = (part.partition(b"\r\n\r\n")[2] for part in _answers(whole))
    assert (first, second, third) == (b"", LARGE, LARGE)
    assert healthy == b"ok\n"


def _answers(whole: bytes) -> list[bytes]:
    return whole.split(b"HTTP/1.1 200 OK")


async def test_a_client_that_takes_a_little_now_and_then_has_no_longer(surface: Any, serving: Any) -> None:
    """The time in which an answer must be taken is that of the whole, not of each slice."""
    surface.page.body = 5 * LARGE
    async with serving(surface.app(), limits=Limits(answer=1.0)) as client:
        with connection(client) as taking:
            taking.sendall(REQUEST)

            def trickle() -> int:
                got = 0
                try:
                    while chunk := taking.recv(60_000):
                        got += len(chunk)
                        time.sleep(0.02)
                except ConnectionResetError:
                    pass
                return got

            with anyio.fail_after(60):
                assert await anyio.to_thread.run_sync(trickle) < 5 * len(LARGE)


async def test_the_time_of_an_answer_begins_with_it(surface: Any, serving: Any) -> None:
    """Not with the answer before it on the same connection."""
    async with serving(surface.app(), limits=Limits(answer=5.0)) as client:
        with connection(client) as taking:
            surface.page.body = b"x"
            taking.sendall(REQUEST)
            assert await anyio.to_thread.run_sync(taking.recv, 100_000)
            surface.page.body = LARGE
            await anyio.sleep(3.5)
            taking.sendall(REQUEST)

            def read_late() -> bytes:
                time.sleep(2.0)
                return read_slowly(taking, pause=0.0)

            whole = await anyio.to_thread.run_sync(read_late)
            assert whole.partition(b"\r\n\r\n")[2] == LARGE
