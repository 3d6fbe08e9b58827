"""Servers of a few lines, certificates, and the count of what a test leaves behind."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from floe_monitor.compute import Deadline
from floe_monitor.compute.toolkit.bounded_socket import BYTE_LIMIT, BoundedSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import trustme

LOOPBACK = "127.0.0.1"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if Path("/proc/self/fd").is_dir() else "/dev/fd"))  # noqa: PTH208


@pytest.fixture
def no_leaks() -> Iterator[None]:
    """No more descriptors and threads after the test, and after the fixtures it asked for, than before."""
    descriptors, threads = _descriptors(), threading.active_count()
    yield
    until = time.monotonic() + 20
    while _descriptors() > descriptors or threading.active_count() > threads:
        assert time.monotonic() < until, (
            f"descriptors {descriptors} -> {_descriptors()}, threads {threads} -> {threading.enumerate()}"
        )
        time.sleep(0.01)


class Server:
    """Hands each connection to `handler`, in a thread of its own; what that raises ends the connection."""

    def __init__(
        self, handler: Callable[[socket.socket], object], tls: ssl.SSLContext | None, host: str
    ) -> None:
        self._handler, self._tls = handler, tls
        self._listener = socket.create_server((host, 0))
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name="test-server", daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name="test-server", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, raw: socket.socket) -> None:
        connection = raw
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(raw, server_side=True)
                self._open.add(connection)
            self._handler(connection)
        connection.close()
        self._open -= {raw, connection}


@pytest.fixture
def serve(no_leaks: None) -> Iterator[Callable[..., Server]]:
    """A server on loopback for a handler of one connection."""
    servers: list[Server] = []

    def start(
        handler: Callable[[socket.socket], object], *, tls: ssl.SSLContext | None = None, host: str = LOOPBACK
    ) -> Server:
        servers.append(Server(handler, tls, host))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def server_tls(encrypt: Callable[..., ssl.SSLContext]) -> ssl.SSLContext:
    """Of a server named localhost."""
    return encrypt("localhost")


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Of a client that trusts `server_tls`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


@pytest.fixture
def connect(no_leaks: None) -> Iterator[Callable[..., BoundedSocket]]:
    """A `BoundedSocket` to a port of loopback, closed after the test."""
    made: list[BoundedSocket] = []

    def to(port: int, seconds: float = 20, byte_limit: int = BYTE_LIMIT) -> BoundedSocket:
        made.append(BoundedSocket(LOOPBACK, port, Deadline.after(seconds), byte_limit=byte_limit))
        return made[-1]

    yield to
    for connection in made:
        connection.close()


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one HTTP request; OSError where the connection ends before its end."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.splitlines()
            if line.lower().startswith(b"content-length:")
        ),
        0,
    )
    while len(body) < length:
        body += _some(connection)
    return head, body


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise OSError("the end")
    return data


class Scripted:
    """A handler that gives its answers in turn, over all connections; the last one again and again.

    An answer None ends the connection in place of one.
    """

    def __init__(self, *answers: bytes | None) -> None:
        self._answers = answers
        self.requests: list[tuple[bytes, bytes]] = []

    def __call__(self, connection: socket.socket) -> None:
        while True:
            self.requests.append(read_request(connection))
            answer = self._answers[min(len(self.requests), len(self._answers)) - 1]
            if answer is None:
                return
            connection.sendall(answer)

    @property
    def first_lines(self) -> list[str]:
        return [head.split(b"\r\n", 1)[0].decode() for head, _ in self.requests]

    def header(self, name: str, request: int = -1) -> str | None:
        lines = self.requests[request][0].decode("latin-1").split("\r\n")[1:]
        found = [line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name.lower()}:")]
        assert len(found) <= 1
        return found[0] if found else None


class ForwardingProxy:
    """A handler that is an HTTP proxy, for tunnels and for requests that name their server."""

    def __init__(self, authorization: str | None = None) -> None:
        self._authorization = authorization
        self.first_lines: list[str] = []

    def __call__(self, connection: socket.socket) -> None:
        head, body = read_request(connection)
        first, *lines = head.decode("latin-1").split("\r\n")
        self.first_lines.append(first)
        if self._authorization is not None and f"Proxy-Authorization: {self._authorization}" not in lines:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 4\r\n\r\nnope")
            return
        method, target, _ = first.split(" ")
        parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
        with socket.create_connection((LOOPBACK, parts.port or 80), timeout=20) as upstream:
            if method == "CONNECT":
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                lines = [line for line in lines if not line.startswith(("Proxy-", "Connection"))]
                path = parts.path + (f"?{parts.query}" if parts.query else "")
                head_on = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "Connection: close", "", ""])
                upstream.sendall(head_on.encode("latin-1") + body)
            back = threading.Thread(target=_copy, args=(upstream, connection), name="test-proxy", daemon=True)
            back.start()
            _copy(connection, upstream)
            back.join(20)


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def scripted() -> type[Scripted]:
    return Scripted


@pytest.fixture
def forwarding_proxy() -> type[ForwardingProxy]:
    return ForwardingProxy


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without any."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
