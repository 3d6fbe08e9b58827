"""Requests end by their deadline, connections are kept where they serve, secrets stay with their origin."""

from __future__ import annotations

import socket
import struct
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    Deadline,
)
from floe_monitor.compute.deadline import running_until
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket, ProtocolError
from floe_monitor.compute.toolkit.dialling import dial
from floe_monitor.compute.toolkit.http_client import MOST_KEPT, HttpClient
from floe_monitor.compute.toolkit.proxies import Proxy, ProxyError
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor.testing import silent_names
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from floe_monitor.compute.toolkit.http_address import Origin

SECRET = "kanarienvogel"
SOON = 0.6
"""Seconds of a deadline that is meant to pass."""
LATE = 10
"""Seconds by which a busy machine may be late."""


def answer(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(to: str, status: str = "302 Found") -> bytes:
    return answer(b"elsewhere", status, Location=to)


@pytest.fixture
def make(client_tls: ssl.SSLContext, no_proxies: None, no_leaks: None) -> Iterator[Callable[..., HttpClient]]:
    made: list[HttpClient] = []

    def client(proxy: Proxy | None = None, **options: Any) -> HttpClient:
        made.append(
            HttpClient(
                partial(dial, calls=BlockingCalls()),
                context_for=lambda _: client_tls,
                **{"proxy_for": lambda *_: proxy, "deadline": Deadline.after(20), **options},
            )
        )
        return made[-1]

    yield client
    for each in made:
        each.close()


@pytest.fixture
def client(make: Callable[..., HttpClient]) -> HttpClient:
    return make()


class TestRequests:
    def test_what_is_sent(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        handler = scripted(answer(b"hello", Content_Type="text/plain"))
        port = serve(handler).port
        found = client.request("GET", f"http://user:{SECRET}@localhost:{port}/a b?c=d#e", {"X-One": "1"})
        assert (found.status, found.reason, found.body) == (200, "OK", b"hello")
        assert found.headers["Content-Type"] == "text/plain"
        assert found.warnings == ()
        assert handler.requests[0][0].decode().split("\r\n") == [
            "GET /a%20b?c=d HTTP/1.1",
            f"Host: localhost:{port}",
            "User-Agent: floe-monitor",
            "Accept-Encoding: identity",
            "X-One: 1",
        ]

    def test_a_body(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        handler = scripted(answer())
        url = f"http://127.0.0.1:{serve(handler).port}/"
        client.request("POST", url, {"content-length": "7", "user-agent": "x", "HOST": "y"}, b"a=b")
        assert handler.requests[0][1] == b"a=b"
        assert [handler.header(name) for name in ("Content-Length", "User-Agent", "Host")] == ["3", "x", "y"]
        client.request("POST", url)
        assert handler.header("Content-Length") == "0"

    @pytest.mark.parametrize("status", ["401 Unauthorized", "500 Internal Server Error", "204 No Content"])
    def test_any_status_is_an_answer(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, status: str
    ) -> None:
        url = f"http://127.0.0.1:{serve(scripted(answer(status=status))).port}"
        assert client.request("GET", url).status == int(status[:3])

    def test_a_long_answer(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        url = f"http://127.0.0.1:{serve(scripted(answer(b'x' * 100))).port}"
        with pytest.raises(ProtocolError, match=r"^http://127.0.0.1:.*: the answer is longer than 99 bytes"):
            client.request("GET", url, body_limit=99)
        found = client.request("GET", url, body_limit=99, cut_body=True)
        assert (len(found.body), found.cut) == (99, True)

    def test_in_tls(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, server_tls: ssl.SSLContext
    ) -> None:
        server = serve(scripted(answer(b"hello")), tls=server_tls)
        url = f"https://localhost:{server.port}/"
        assert [client.request("GET", url).body for _ in range(3)] == [b"hello"] * 3
        assert server.accepted == 1

    def test_a_stranger(
        self,
        make: Callable[..., HttpClient],
        serve: Callable[..., Any],
        scripted: Any,
        server_tls: ssl.SSLContext,
    ) -> None:
        port = serve(scripted(answer()), tls=server_tls).port
        asked: list[Origin] = []

        def context_for(origin: Origin) -> ssl.SSLContext:
            asked.append(origin)
            return tls_context()

        stranger = HttpClient(
            partial(dial, calls=BlockingCalls()), context_for=context_for, deadline=Deadline.after(20)
        )
        with pytest.raises(
            ComputeConnectionError, match=rf"^https://localhost:{port}: the server's certificate is refused: "
        ):
            stranger.request("GET", f"https://localhost:{port}/{SECRET}")
        assert [f"{origin}" for origin in asked] == [f"https://localhost:{port}"]

    def test_the_deadline_of_the_validation(self, make: Callable[..., HttpClient]) -> None:
        client = make(deadline=None)
        with (
            FaultProxy(fault=Fault.HANG) as proxy,
            running_until(Deadline.after(SOON)),
            pytest.raises(ComputeTimeoutError),
        ):
            client.request("GET", f"http://127.0.0.1:{proxy.port}")

    def test_addresses_that_are_none(self, client: HttpClient) -> None:
        with pytest.raises(ComputeConfigurationError, match=r"^ftp://host is no HTTP address"):
            client.request("GET", f"ftp://user:{SECRET}@host/{SECRET}")


class TestRedirects:
    def test_a_get_is_taken_there(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        handler = scripted(redirect("../b?c#d"), redirect("/é"), answer(b"there"))
        port = serve(handler).port
        headers = {"Authorization": SECRET, "Accept": "a/b"}
        found = client.request("GET", f"http://127.0.0.1:{port}/x/y", headers, follow_redirects=True)
        assert (found.body, found.moved_to) == (b"there", None)
        assert handler.first_lines == ["GET /x/y HTTP/1.1", "GET /b?c HTTP/1.1", "GET /%E9 HTTP/1.1"]
        assert [handler.header("authorization", number) for number in range(3)] == [SECRET] * 3

    @pytest.mark.parametrize("name", [
        "Authorization", "authorization", "Cookie", "X-Amz-Security-Token", "X-Goog-Api-Key", "Host",
        "X-Auth", "Client-Secret",
    ])  # fmt: skip
    def test_what_proves_who_asks_stays(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, name: str
    ) -> None:
        other = scripted(answer(b"there"))
        to = f"http://127.0.0.1:{serve(other).port}/"
        first = scripted(redirect(to))
        url = f"http://127.0.0.1:{serve(first).port}/"
        found = client.request("GET", url, {name: SECRET, "Realm": "r"}, follow_redirects=True)
        assert found.body == b"there"
        assert first.header(name) == SECRET
        assert SECRET not in other.requests[0][0].decode()
        assert other.header("Realm") == "r"

    @pytest.mark.parametrize(("method", "follow"), [("POST", True), ("GET", False), ("HEAD", True)])
    def test_otherwise_it_is_told_where(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, method: str, follow: bool
    ) -> None:
        moved = redirect(f"https://user:{SECRET}@else.example:1/{SECRET}")
        handler = scripted(moved.partition(b"elsewhere")[0] if method == "HEAD" else moved)
        url = f"http://127.0.0.1:{serve(handler).port}/"
        found = client.request(method, url, follow_redirects=follow)
        assert (found.status, found.moved_to) == (302, "https://else.example:1")
        assert len(handler.requests) == 1

    def test_to_what_is_no_http(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        url = f"http://127.0.0.1:{serve(scripted(redirect('file://host/etc/passwd'))).port}/"
        found = client.request("GET", url, follow_redirects=True)
        assert found.moved_to == "file://host"
        url = f"http://127.0.0.1:{serve(scripted(redirect('http://a:b/'))).port}"
        with pytest.raises(ComputeConnectionError, match=f"^{url} redirects to what is no HTTP address$"):
            client.request("GET", url, follow_redirects=True)

    def test_round_and_round(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        handler = scripted(redirect("/"))
        url = f"http://127.0.0.1:{serve(handler).port}"
        with pytest.raises(ComputeConnectionError, match=f"^{url}: more than 3 redirects$"):
            client.request("GET", url, follow_redirects=True)
        assert len(handler.requests) == 4


class TestKeptConnections:
    def test_one_for_an_origin(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        servers = [serve(scripted(answer(b"a"))), serve(scripted(answer(b"b")))]
        for _ in range(3):
            for server in servers:
                client.request("POST", f"http://127.0.0.1:{server.port}", body=b"x")
        assert [server.accepted for server in servers] == [1, 1]
        client.close()
        client.request("GET", f"http://127.0.0.1:{servers[0].port}")
        assert servers[0].accepted == 2

    def test_no_more_than_a_few(self, client: HttpClient, serve: Callable[..., Any], scripted: Any) -> None:
        for _ in range(MOST_KEPT + 2):
            client.request("GET", f"http://127.0.0.1:{serve(scripted(answer())).port}")
        assert len(client._kept) == MOST_KEPT

    @pytest.mark.parametrize(
        "last", [answer(Connection="close"), b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", answer() + b"!"]
    )
    def test_not_where_the_answer_ends_it(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, last: bytes
    ) -> None:
        server = serve(scripted(last))
        for _ in range(2):
            client.request("GET", f"http://127.0.0.1:{server.port}")
        assert server.accepted == 2

    def test_not_where_the_request_ends_it(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any
    ) -> None:
        server = serve(scripted(answer()))
        for _ in range(2):
            client.request("GET", f"http://127.0.0.1:{server.port}", {"connection": "close"})
        assert server.accepted == 2

    def test_closed_by_the_server_meanwhile(
        self, client: HttpClient, serve: Callable[..., Any], wait_until: Callable[..., Any]
    ) -> None:
        """Seen before anything is sent, so that a POST too is sent anew."""

        def once(connection: socket.socket) -> None:
            connection.recv(10000)
            connection.sendall(answer())

        server = serve(once)
        for _ in range(3):
            assert client.request("POST", f"http://127.0.0.1:{server.port}", body=b"x").status == 200
            wait_until(lambda: not any(kept.alive for kept in client._kept.values()), 20, "the end arrives")
        assert server.accepted == 3
        client.renew(Deadline.after(20))
        assert client._kept == {}

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
    def test_closed_in_place_of_an_answer(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any, method: str
    ) -> None:
        """The server's idle timeout and the request have crossed."""
        handler = scripted(answer(b"1"), None, answer(b"2"))
        server = serve(handler)
        url = f"http://127.0.0.1:{server.port}"
        assert [client.request(method, url).body for _ in range(2)] == [b"1", b"2"]
        assert (server.accepted, len(handler.requests)) == (2, 3)

    def test_what_may_have_been_done_is_not_asked_twice(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any
    ) -> None:
        handler = scripted(answer(b"1"), None, answer(b"2"))
        url = f"http://127.0.0.1:{serve(handler).port}"
        assert client.request("POST", url).body == b"1"
        with pytest.raises(ComputeConnectionError, match=f"^{url}: the server closed the connection without"):
            client.request("POST", url)
        assert len(handler.requests) == 2

    @pytest.mark.parametrize("part", [b"HTT", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"])
    def test_what_was_half_answered_is_not_asked_twice(
        self, client: HttpClient, serve: Callable[..., Any], part: bytes
    ) -> None:
        count: list[int] = []

        def half(connection: socket.socket) -> None:
            for data in (answer(), part):
                connection.recv(10000)
                count.append(1)
                connection.sendall(data)

        url = f"http://127.0.0.1:{serve(half).port}"
        client.request("GET", url)
        with pytest.raises(ComputeConnectionError, match="in the middle of an HTTP answer"):
            client.request("GET", url)
        assert len(count) == 2

    def test_a_new_connection_is_not_tried_again(
        self, client: HttpClient, serve: Callable[..., Any], scripted: Any
    ) -> None:
        handler = scripted(None)
        with pytest.raises(ComputeConnectionError):
            client.request("GET", f"http://127.0.0.1:{serve(handler).port}")
        assert len(handler.requests) == 1

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_frozen_one_is_not_replaced(
        self,
        client: HttpClient,
        serve: Callable[..., Any],
        scripted: Any,
        server_tls: ssl.SSLContext,
        scheme: str,
    ) -> None:
        server = serve(scripted(answer()), tls=server_tls if scheme == "https" else None)
        with FaultProxy(server.port) as proxy:
            url = f"{scheme}://localhost:{proxy.port}"
            client.request("GET", url)
            proxy.set(Fault.FREEZE)
            with pytest.raises(ComputeTimeoutError):
                client.request("GET", url, deadline=Deadline.after(SOON))
            assert proxy.accepted == 1
            assert client._kept == {}

    def test_adopted(
        self,
        client: HttpClient,
        serve: Callable[..., Any],
        scripted: Any,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
    ) -> None:
        server = serve(scripted(answer(b"hello")), tls=server_tls)
        url = f"https://localhost:{server.port}/"
        dialled = dial("localhost", server.port, BlockingCalls(), Deadline.after(20))
        dialled.connection.encrypt(client_tls, "localhost")
        client.adopt(url, dialled.connection)
        assert client.request("GET", url).body == b"hello"
        assert server.accepted == 1


STEPS = [
    pytest.param(Fault.REFUSE, {}, ComputeConnectionError, "Connection refused", id="refuse"),
    pytest.param(Fault.BLACKHOLE, {}, ComputeTimeoutError, "waiting for the TCP connection", id="drop"),
    pytest.param(Fault.RESET, {}, ComputeConnectionError, "reset the connection", id="reset"),
    pytest.param(Fault.HALF_CLOSE, {}, ComputeConnectionError, "closed the connection", id="half-close"),
]


class TestFaults:
    @pytest.mark.parametrize(("fault", "options", "kind", "words"), [
        *STEPS,
        pytest.param(Fault.HANG, {}, ComputeTimeoutError, "the answer to an HTTP request", id="hang"),
        pytest.param(Fault.DRIP, {"rate": 20}, ComputeTimeoutError, "the answer to an HTTP", id="drip"),
        pytest.param(Fault.HANG_AFTER, {"after": 20}, ComputeTimeoutError, "the answer to", id="in-head"),
        pytest.param(Fault.HANG_AFTER, {"after": 100}, ComputeTimeoutError, "the answer to", id="in-body"),
    ])  # fmt: skip
    def test_plain(
        self,
        client: HttpClient,
        serve: Callable[..., Any],
        scripted: Any,
        fault: Fault,
        options: dict[str, Any],
        kind: type[Exception],
        words: str,
    ) -> None:
        with FaultProxy(serve(scripted(answer(b"x" * 1000))).port, fault, **options) as proxy:
            seconds = SOON if kind is ComputeTimeoutError else 20
            deadline = Deadline.after(seconds)
            with pytest.raises(kind, match=rf"^http://127\.0\.0\.1:{proxy.port}: .*{words}") as caught:
                client.request("GET", f"http://x:{SECRET}@127.0.0.1:{proxy.port}/{SECRET}", deadline=deadline)
            assert time.monotonic() < deadline.expires_at + LATE
            assert SECRET not in str(caught.value)

    @pytest.mark.parametrize(("fault", "options", "kind", "words"), [
        *STEPS,
        pytest.param(Fault.HANG, {}, ComputeTimeoutError, "waiting for the TLS handshake", id="hang"),
        pytest.param(Fault.DRIP, {"rate": 20}, ComputeTimeoutError, "for the TLS handshake", id="drip"),
        pytest.param(Fault.HANG_AFTER, {"after": 90}, ComputeTimeoutError, "the TLS handshake", id="within"),
    ])  # fmt: skip
    def test_in_tls(
        self,
        client: HttpClient,
        serve: Callable[..., Any],
        scripted: Any,
        server_tls: ssl.SSLContext,
        fault: Fault,
        options: dict[str, Any],
        kind: type[Exception],
        words: str,
    ) -> None:
        server = serve(scripted(answer()), tls=server_tls)
        with FaultProxy(server.port, fault, **options) as proxy:
            deadline = Deadline.after(SOON if kind is ComputeTimeoutError else 20)
            with pytest.raises(kind, match=f"^https://localhost:{proxy.port}: .*{words}"):
                client.request("GET", f"https://localhost:{proxy.port}/{SECRET}", deadline=deadline)
            assert time.monotonic() < deadline.expires_at + LATE

    @pytest.mark.parametrize(
        "part",
        [b"6\r\nhello ", b"6", b"5;" + b"x" * 100, b"5\r\nhello\r\n0\r\nX-Trailer: "],
        ids=["chunk", "size", "extension", "trailer"],
    )
    def test_a_drip_within_chunks(self, client: HttpClient, serve: Callable[..., Any], part: bytes) -> None:
        stop = threading.Event()

        def drip(connection: socket.socket) -> None:
            connection.recv(10000)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + part)
            while not stop.wait(0.01):
                connection.sendall(b"1")

        deadline = Deadline.after(SOON)
        with pytest.raises(ComputeTimeoutError):
            client.request("GET", f"http://127.0.0.1:{serve(drip).port}", deadline=deadline)
        stop.set()
        assert time.monotonic() < deadline.expires_at + LATE

    def test_reset_in_the_middle(self, client: HttpClient, serve: Callable[..., Any]) -> None:
        def reset(connection: socket.socket) -> None:
            connection.recv(10000)
            connection.sendall(answer(b"x" * 100)[:-50])
            time.sleep(0.05)  # what is reset at once may not arrive at all, which is as good a test
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        with pytest.raises(ComputeConnectionError, match="reset the connection"):
            client.request("GET", f"http://127.0.0.1:{serve(reset).port}")

    def test_many_at_once_against_a_hang(self, no_leaks: None) -> None:
        calls = BlockingCalls()
        told: list[str] = []

        def ask(port: int) -> None:
            client = HttpClient(partial(dial, calls=calls), deadline=Deadline.after(SOON))
            try:
                client.request("GET", f"http://localhost:{port}")
            except ComputeTimeoutError as error:
                told.append(str(error))

        with FaultProxy(fault=Fault.HANG) as proxy:
            threads = [threading.Thread(target=ask, args=(proxy.port,)) for _ in range(30)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(SOON + LATE)
        assert len(told) == 30

    def test_in_the_callers_words(self, client: HttpClient, serve: Callable[..., Any]) -> None:
        client.waits_for = "the session to open"
        with (
            FaultProxy(fault=Fault.HANG) as proxy,
            pytest.raises(
                ComputeTimeoutError, match=r"no answer in time while waiting for the session to open$"
            ),
        ):
            client.request("POST", f"http://127.0.0.1:{proxy.port}", deadline=Deadline.after(SOON))

    def test_a_dead_address_before_it(
        self, make: Callable[..., HttpClient], serve: Callable[..., Any], scripted: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        found = [(0, 0, 0, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        client = make()
        port = serve(scripted(redirect("/x"), answer())).port
        (warning,) = client.request("GET", f"http://db:{port}", follow_redirects=True).warnings
        assert warning.startswith(f"127.0.0.2 port {port}: Connection refused")

    @pytest.mark.skipif(not silent_names.available(), reason="no network namespaces here")
    @pytest.mark.process
    def test_a_silent_name_service(self) -> None:
        done = silent_names.run(
            "from functools import partial\n"
            "from floe_monitor.compute import ComputeTimeoutError, Deadline\n"
            "from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls\n"
            "from floe_monitor.compute.toolkit.dialling import dial\n"
            "from floe_monitor.compute.toolkit.http_client import HttpClient\n"
            "calls = BlockingCalls()\n"
            "try:\n"
            "    HttpClient(partial(dial, calls=calls)).request(\n"
            "        'GET', 'http://db.example/x', deadline=Deadline.after(0.5))\n"
            "except ComputeTimeoutError as error:\n"
            "    print(error)\n"
            "    print(calls.pending)\n",
            resolver_seconds=30,
        )
        assert done.stdout.splitlines() == [
            "http://db.example: no answer in time from the name service about 'db.example'",
            "1",
        ], done.stderr

    @pytest.mark.parametrize("step", ["dial", "context", "body"])
    def test_interrupted_nothing_stays_open(
        self, make: Callable[..., HttpClient], serve: Callable[..., Any], scripted: Any,
        server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch, step: str,
    ) -> None:  # fmt: skip
        def interrupt(*_: Any, **__: Any) -> Any:
            raise KeyboardInterrupt

        server = serve(scripted(answer(b"x")), tls=server_tls)
        client = make()
        place = {"dial": "encrypt", "context": "sendall", "body": "recv"}[step]
        monkeypatch.setattr(BoundedSocket, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.request("GET", f"https://localhost:{server.port}")
        assert client._kept == {}


class TestProxies:
    def test_a_request_names_its_server(
        self, make: Callable[..., HttpClient], serve: Callable[..., Any], scripted: Any, forwarding_proxy: Any
    ) -> None:
        server = scripted(answer(b"hello"))
        port = serve(server).port
        proxy = Proxy("localhost", 1, "http", "user", SECRET)
        handler = forwarding_proxy(proxy.authorization)
        there = serve(handler)
        client = make(Proxy(there.host, there.port, "http", "user", SECRET))
        assert client.request("GET", f"http://else.example:{port}/x?y").body == b"hello"
        assert handler.first_lines == [f"GET http://else.example:{port}/x?y HTTP/1.1"]
        assert server.first_lines == ["GET /x?y HTTP/1.1"]

    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_a_tunnel_that_is_kept(
        self,
        make: Callable[..., HttpClient],
        serve: Callable[..., Any],
        scripted: Any,
        forwarding_proxy: Any,
        server_tls: ssl.SSLContext,
        scheme: str,
    ) -> None:
        server = serve(scripted(answer(b"hello")), tls=server_tls)
        handler = forwarding_proxy()
        there = serve(handler, tls=server_tls if scheme == "https" else None)
        client = make(Proxy("localhost", there.port, scheme))
        for _ in range(3):
            assert client.request("GET", f"https://localhost:{server.port}/x").body == b"hello"
        assert handler.first_lines == [f"CONNECT localhost:{server.port} HTTP/1.1"]

    def test_by_the_environment(
        self,
        make: Callable[..., HttpClient],
        serve: Callable[..., Any],
        forwarding_proxy: Any,
        client_tls: ssl.SSLContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        there = serve(forwarding_proxy("Basic other"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:{there.port}")
        client = HttpClient(
            partial(dial, calls=BlockingCalls()),
            context_for=lambda _: client_tls,
            deadline=Deadline.after(20),
        )
        with pytest.raises(ProxyError) as caught:
            client.request("GET", "https://else.example/x")
        name = f"the proxy 127.0.0.1 port {there.port}"
        assert str(caught.value) == (
            f"https://else.example by {name}: {name} answers 407 Proxy Authentication Required: "
            "it refuses the login"
        )

    def test_a_silent_one(self, make: Callable[..., HttpClient]) -> None:
        with FaultProxy(fault=Fault.HANG) as there:
            client = make(Proxy("127.0.0.1", there.port))
            with pytest.raises(ComputeTimeoutError, match=r"waiting for the proxy$"):
                client.request("GET", "https://else.example", deadline=Deadline.after(SOON))
