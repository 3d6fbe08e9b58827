"""Which proxy the environment names, and the way through it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests.utils
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    Deadline,
)
from floe_monitor.compute.toolkit.bounded_socket import ProtocolError
from floe_monitor.compute.toolkit.proxies import Proxy, ProxyError, open_tunnel, parse_proxy, proxy_for
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket

EXCEPTIONS = [
    "example.com", ".example.com", "*", "10.0.0.0/8", "10.1.2.3", "10.0.0.0/99", "10.1.2.3:443",
    "a.example.com:443", "example.com:443", "example.com:80", " ", "EXAMPLE.com", "com", ".",
]  # fmt: skip
SECRET = "kanarienvogel"


class TestTheEnvironment:
    @pytest.mark.parametrize(
        ("value", "proxy"),
        [
            ("http://proxy:3128", Proxy("proxy", 3128)),
            ("proxy:3128", Proxy("proxy", 3128)),
            ("proxy", Proxy("proxy", 80)),
            (" http://proxy/ ", Proxy("proxy", 80)),
            ("https://proxy", Proxy("proxy", 443, "https")),
            ("http://[::1]:8080", Proxy("::1", 8080)),
            ("http://us%40er:p%2Fw%3A@proxy:1", Proxy("proxy", 1, "http", "us@er", "p/w:")),
            ("user@proxy:1", Proxy("proxy", 1, "http", "user", None)),
        ],
    )
    def test_forms(self, value: str, proxy: Proxy, no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value)
        assert proxy_for("https", "host") == proxy
        assert proxy_for("http", "host") is None

    @pytest.mark.parametrize(
        "value", ["http://:3128", "http://proxy:none", "http://[::1", "socks5://proxy:1"]
    )
    def test_what_is_none(self, value: str, no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", value.replace("//", f"//user:{SECRET}@"))
        with pytest.raises(ComputeConfigurationError, match="HTTPS_PROXY") as caught:
            proxy_for("https", "host")
        assert SECRET not in str(caught.value)

    def test_nothing_is_named(self, no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
        assert proxy_for("https", "host") is None
        monkeypatch.setenv("HTTPS_PROXY", "")
        assert proxy_for("https", "host") is None

    def test_for_all_schemes(self, no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", "proxy:1")
        assert proxy_for("https", "host") == Proxy("proxy", 1)
        assert proxy_for("https", "host", as_requests=False) is None

    @given(
        names=st.lists(
            st.sampled_from(EXCEPTIONS),
            max_size=3,
        ),
        host=st.sampled_from(["a.example.com", "example.com", "10.1.2.3", "11.1.2.3", "x"]),
    )  # fmt: skip
    @settings(
        max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    def test_exceptions_are_those_of_requests(self, names: list[str], host: str, no_proxies: None) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("HTTPS_PROXY", "proxy:1")
            patch.setenv("NO_PROXY", ",".join(names))
            url = f"https://{host}:443"
            expected = requests.utils.get_environ_proxies(url, no_proxy=None).get("https")
            assert (proxy_for("https", host, 443) is None) is (expected is None)

    def test_exceptions_of_urllib_alone(self, no_proxies: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HTTPS_PROXY", "proxy:1")
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,example.com")
        assert proxy_for("https", "10.1.2.3", as_requests=False) is not None
        assert proxy_for("https", "badexample.com", as_requests=False) is not None
        assert proxy_for("https", "an.example.com", as_requests=False) is None


def test_credentials_are_not_shown() -> None:
    proxy = parse_proxy(f"http://user:{SECRET}@proxy:1", "HTTPS_PROXY")
    assert SECRET not in f"{proxy} {proxy!r}"
    assert proxy.authorization == "Basic dXNlcjprYW5hcmllbnZvZ2Vs"


class TestTunnels:
    def test_to_a_server_in_tls(
        self,
        serve: Callable[..., Any],
        connect: Callable[..., BoundedSocket],
        forwarding_proxy: Any,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
    ) -> None:
        server = serve(lambda peer: peer.sendall(peer.recv(10)), tls=server_tls)
        handler = forwarding_proxy()
        there = serve(handler)
        connection = connect(there.port)
        open_tunnel(connection, Proxy(there.host, there.port), "localhost", server.port)
        connection.encrypt(client_tls, "localhost")
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"
        assert handler.first_lines == [f"CONNECT localhost:{server.port} HTTP/1.1"]

    @pytest.mark.parametrize(
        ("username", "words"), [(None, "it wants a login"), ("user", "it refuses the login")]
    )
    def test_it_wants_a_login(
        self,
        serve: Callable[..., Any],
        connect: Callable[..., BoundedSocket],
        forwarding_proxy: Any,
        username: str | None,
        words: str,
    ) -> None:
        there = serve(forwarding_proxy("Basic other"))
        proxy = Proxy(there.host, there.port, "http", username, SECRET)
        with pytest.raises(ProxyError) as caught:
            open_tunnel(connect(there.port), proxy, "localhost", 1)
        assert str(caught.value) == (
            f"the proxy 127.0.0.1 port {there.port} answers 407 Proxy Authentication Required: {words}"
        )
        assert caught.value.status == 407

    def test_it_has_the_login(
        self, serve: Callable[..., Any], connect: Callable[..., BoundedSocket], forwarding_proxy: Any
    ) -> None:
        server = serve(lambda peer: peer.sendall(peer.recv(10)))
        proxy = Proxy("proxy", 1, "http", "user", SECRET)
        connection = connect(serve(forwarding_proxy(proxy.authorization)).port)
        open_tunnel(connection, proxy, "localhost", server.port)
        connection.sendall(b"x")
        assert connection.recv(1) == b"x"

    @pytest.mark.parametrize(
        ("answer", "kind", "words"),
        [
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\nbusy", ProxyError, "port 1 answers 503 Service Unav"),
            (b"HTTP/1.1 502\r\n\r\n", ProxyError, "port 1 answers 502$"),
            (b"HTTP/1.1 200 OK\r\n\r\n220 mail", ProtocolError, "more came than an answer"),
            (b"SSH-2.0-OpenSSH\r\n", ProtocolError, "no HTTP"),
            (b"", ComputeConnectionError, "closed the connection without an answer"),
            (b"HTTP/1.1 200 OK\r\nVia: ", ComputeConnectionError, "in the middle of an HTTP answer"),
        ],
    )
    def test_no_tunnel(
        self,
        serve: Callable[..., Any],
        connect: Callable[..., BoundedSocket],
        answer: bytes,
        kind: type[Exception],
        words: str,
    ) -> None:
        def refuse(peer: socket.socket) -> None:
            peer.recv(1000)
            peer.sendall(answer)

        with pytest.raises(kind, match=words):
            open_tunnel(connect(serve(refuse).port), Proxy("proxy", 1), "localhost", 443)

    @pytest.mark.parametrize(("fault", "options"), [(Fault.HANG, {}), (Fault.DRIP, {"rate": 20})])
    def test_the_proxy_is_silent(
        self,
        serve: Callable[..., Any],
        connect: Callable[..., BoundedSocket],
        forwarding_proxy: Any,
        fault: Fault,
        options: dict[str, Any],
    ) -> None:
        there = serve(forwarding_proxy("Basic other"))
        with FaultProxy(there.port, fault, **options) as between:
            connection = connect(between.port, 0.6)
            with pytest.raises(ComputeTimeoutError, match=r"while waiting for the proxy$"):
                open_tunnel(connection, Proxy("proxy", 1), "localhost", 443)
            connection.deadline = Deadline.after(20)
            connection.close()
