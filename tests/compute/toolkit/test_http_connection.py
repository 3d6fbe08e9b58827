"""An answer is whole or an error, however it arrives and wherever it ends."""

from __future__ import annotations

import http.client
import io
import itertools
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floe_monitor.compute import ComputeConfigurationError, ComputeConnectionError
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket, ClosedError, ProtocolError
from floe_monitor.compute.toolkit.http_connection import (
    HEAD_LIMIT,
    Headers,
    HttpConnection,
    _request,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 11\r\n\r\nhello world"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"6;x=y\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n"
)


class Pieces:
    """What a `BoundedSocket` receives, piece by piece, and then the end."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self.taken = 0

    def recv(self, size: int) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            raise ClosedError("the server closed the connection")
        assert 0 < len(piece) <= size
        self.taken += 1
        return piece

    def sendall(self, data: bytes) -> None:
        pass


def over(pieces: Iterable[bytes], method: str = "GET") -> HttpConnection:
    connection = HttpConnection(cast("BoundedSocket", Pieces(pieces)))
    connection.send(method, "/", {}, None)
    return connection


def test_both_forms() -> None:
    for whole in (SIZED, CHUNKED):
        connection = over([whole])
        answer = connection.read("GET", 100, cut=False)
        assert (answer.status, answer.reason, answer.body) == (200, "OK", b"hello world")
        assert answer.headers["content-TYPE"] == "text/plain"
        assert connection.reusable


@given(st.sampled_from([SIZED, CHUNKED]), st.lists(st.integers(1, 150), max_size=40))
def test_however_it_arrives(whole: bytes, cuts: list[int]) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(whole)), len(whole)})
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    connection = over(pieces)
    assert connection.read("GET", 11, cut=False).body == b"hello world"
    assert connection.reusable


@pytest.mark.parametrize("whole", [SIZED, CHUNKED])
def test_wherever_it_ends(whole: bytes) -> None:
    # Of a chunked body all is known with the 0; the lines after it are for trailers.
    for length in range(len(whole) - (4 if whole is CHUNKED else 0)):
        connection = over([whole[:length]] if length else [])
        with pytest.raises(ComputeConnectionError, match=r"closed the connection (in the middle|without)"):
            connection.read("GET", 100, cut=False)
        assert not connection.reusable


@given(st.sampled_from([SIZED, CHUNKED]), st.integers(0, 120), st.binary(max_size=8), st.integers(0, 8))
def test_whatever_it_holds(whole: bytes, place: int, replaced: bytes, size: int) -> None:
    """An answer or an error with a name: nothing else, and no more than was allowed."""
    connection = over([whole[:place] + replaced + whole[place + size :] or b"x"])
    try:
        answer = connection.read("GET", 20, cut=True)
    except ComputeConnectionError:
        assert not connection.reusable
    else:
        assert len(answer.body) <= 20


def test_without_a_length_it_ends_with_the_connection() -> None:
    connection = over([b"HTTP/1.1 200 OK\r\n\r\n", b"abc", b"def"])
    assert connection.read("GET", 100, cut=False).body == b"abcdef"
    assert not connection.reusable


@pytest.mark.parametrize("whole", [SIZED, CHUNKED])
def test_too_long(whole: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        over([whole]).read("GET", 10, cut=False)
    connection = over([whole])
    answer = connection.read("GET", 10, cut=True)
    assert (answer.body, answer.cut) == (b"hello worl", True)
    assert not connection.reusable


def test_a_length_that_is_too_short_leaves_a_rest() -> None:
    connection = over([SIZED + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])
    assert connection.read("GET", 100, cut=False).body == b"hello world"
    assert not connection.reusable


def test_none_of_it_is_a_body() -> None:
    connection = over([b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n"], "HEAD")
    assert connection.read("HEAD", 100, cut=False).body == b""
    assert connection.reusable
    connection = over([b"HTTP/1.1 204 No Content\r\n\r\n"])
    assert connection.read("GET", 100, cut=False).status == 204
    assert connection.reusable


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 11\r\n\r\nhello world",
        SIZED.replace(b"\r\n", b"\r\nConnection: close\r\n", 1),
    ],
)
def test_the_server_means_to_close(head: bytes) -> None:
    connection = over([head])
    assert connection.read("GET", 100, cut=False).body == b"hello world"
    assert not connection.reusable


def test_informational_answers() -> None:
    early = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    assert over([early, SIZED]).read("GET", 100, cut=False).status == 200
    with pytest.raises(ProtocolError, match="more than 8 informational"):
        over([early] * 100).read("GET", 100, cut=False)
    with pytest.raises(ProtocolError, match="head of the answer is longer"):
        over([b"HTTP/1.1 100 Continue\r\n\r\n" * 100] * 1000).read("GET", 100, cut=False)
    with pytest.raises(ProtocolError, match="changes to a protocol"):
        over([b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"]).read("GET", 100, cut=False)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"220 mail.example ESMTP\r\n", "no HTTP"),
        (b"HTTP/3.0 200 OK\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 x\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnone\r\n", "a chunk of no size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n", "a chunk of no size"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n", "too many headers"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000, "no HTTP"),
    ],
)
def test_what_is_no_http(answer: bytes, words: str) -> None:
    pieces = [answer[place : place + 1000] for place in range(0, len(answer), 1000)]
    with pytest.raises(ProtocolError, match=words):
        over([*pieces, b"\r\n" * 10]).read("GET", 100, cut=False)


def test_a_flood_of_headers_is_not_read_to_its_end() -> None:
    lines = [b"HTTP/1.1 200 OK\r\n", *([b"A: " + b"b" * 10000 + b"\r\n"] * 1000)]
    pieces = Pieces(lines)
    connection = HttpConnection(cast("BoundedSocket", pieces))
    connection.send("GET", "/", {}, None)
    with pytest.raises(ProtocolError, match="head of the answer is longer"):
        connection.read("GET", 100, cut=False)
    assert pieces.taken <= HEAD_LIMIT // 10000 + 2


def test_headers() -> None:
    headers = Headers([("Set-Cookie", "a"), ("X-One", "1"), ("set-cookie", "b")])
    assert dict(headers) == {"set-cookie": "a, b", "x-one": "1"}
    assert "SET-COOKIE" in headers
    assert cast("Any", 1) not in headers
    assert headers.get("none") is None


class TestRequests:
    @given(st.text(max_size=20), st.text(max_size=20))
    def test_headers_arrive_as_given_or_not_at_all(self, name: str, value: str) -> None:
        try:
            sent = _request("GET", "/", {name: value}, None)
        except ComputeConfigurationError as error:
            assert len(value) < 3 or value not in str(error).replace(repr(name), "")  # noqa: PT017
        else:
            lines = io.BytesIO(sent)
            assert lines.readline() == b"GET / HTTP/1.1\r\n"
            headers = http.client.parse_headers(lines)
            assert [(key, item.strip()) for key, item in headers.items()] == [(name, value.strip())]
            assert lines.read() == b""

    def test_a_secret_that_cannot_be_sent_is_not_told(self) -> None:
        for value in ("s3cret\nX: y", "s3cret\0", "s3cret€"):
            with pytest.raises(ComputeConfigurationError) as caught:
                _request("GET", "/", {"Authorization": value}, None)
            assert "s3cret" not in str(caught.value)
            assert caught.value.__suppress_context__ or caught.value.__context__ is None

    def test_methods(self) -> None:
        with pytest.raises(ComputeConfigurationError, match="no HTTP method"):
            _request("GET / HTTP/1.1\r\nX: ", "/", {}, None)
