"""The fault-injecting proxy, against a real echo server."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from floe_monitor.testing.fault_proxy import LOOPBACK, Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = 0.3


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        try:
            while data := self.request.recv(4096):
                self.request.sendall(data)
        except OSError:
            return


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    with _Server((LOOPBACK, 0), _Echo) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def proxy(echo_port: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo_port) as proxy:
        yield proxy


def dial(proxy: FaultProxy) -> socket.socket:
    return socket.create_connection((LOOPBACK, proxy.port), timeout=SHORT)


def read(client: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        data = client.recv(size - len(found))
        if not data:
            break
        found += data
    return found


def talk(client: socket.socket, data: bytes = b"hello") -> bytes:
    client.sendall(data)
    return read(client, len(data))


def test_passes_both_ways_and_ends_with_the_client(proxy: FaultProxy) -> None:
    with dial(proxy) as client:
        assert talk(client) == b"hello"
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    assert proxy.accepted == 1


def test_a_freeze_stops_open_connections_and_a_thaw_loses_nothing(proxy: FaultProxy) -> None:
    with dial(proxy) as client:
        assert talk(client) == b"hello"
        proxy.set(Fault.FREEZE)
        with pytest.raises(TimeoutError):
            talk(client, b"later")
        proxy.set(Fault.PASS)
        client.settimeout(5)
        assert read(client, 5) == b"later"


def test_a_hang_accepts_and_never_answers(proxy: FaultProxy) -> None:
    proxy.set(Fault.HANG)
    with dial(proxy) as client, pytest.raises(TimeoutError):
        talk(client)


def test_a_drip_is_as_slow_as_told(proxy: FaultProxy) -> None:
    proxy.set(Fault.DRIP, rate=20)
    with dial(proxy) as client:
        started = time.monotonic()
        assert talk(client, b"slow") == b"slow"
        assert time.monotonic() - started >= 4 / 20


def test_hangs_after_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.set(Fault.HANG_AFTER, after=3)
    with dial(proxy) as client:
        client.sendall(b"hello")
        assert read(client, 3) == b"hel"
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_resets_what_is_open_and_what_is_new(proxy: FaultProxy) -> None:
    with dial(proxy) as client:
        assert talk(client) == b"hello"
        proxy.set(Fault.RESET)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    with pytest.raises(ConnectionResetError), dial(proxy) as late:
        late.recv(1)


def test_half_close_ends_one_way(proxy: FaultProxy) -> None:
    proxy.set(Fault.HALF_CLOSE)
    with dial(proxy) as client:
        assert client.recv(1) == b""
        client.sendall(b"still open")


def test_refuses_and_comes_back_on_the_same_port(proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.set(Fault.REFUSE)
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)
    proxy.set(Fault.PASS)
    with dial(proxy) as client:
        assert talk(client) == b"hello"
    assert proxy.port == port


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops connections beyond a full backlog")
def test_a_blackhole_never_connects_and_comes_back(proxy: FaultProxy) -> None:
    proxy.set(Fault.BLACKHOLE)
    with pytest.raises(TimeoutError):
        dial(proxy)
    proxy.set(Fault.PASS)
    with dial(proxy) as client:
        assert talk(client) == b"hello"


def test_close_ends_all_its_threads(echo_port: int) -> None:
    with FaultProxy(echo_port) as proxy, dial(proxy) as client:
        assert talk(client) == b"hello"
        proxy.set(Fault.FREEZE)
        client.sendall(b"stuck")
    name = f"faultproxy-{proxy.port}"
    until = time.monotonic() + 60
    while any(thread.name == name for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if thread.name == name]


def test_a_pure_fault_needs_no_upstream() -> None:
    with FaultProxy(fault=Fault.HANG) as proxy, dial(proxy) as client, pytest.raises(TimeoutError):
        talk(client)
