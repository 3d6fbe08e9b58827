"""One connection: every wait ends at the deadline, and every failure has words of its own."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import struct
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from floe_monitor.compute import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
    Deadline,
    Expiry,
    ExpiryKind,
)
from floe_monitor.compute.evidence import Evidence, gathering
from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket, ClosedError, ProtocolError
from floe_monitor.compute.toolkit.tls import tls_context
from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[..., BoundedSocket]
    Serve = Callable[..., Any]

SOON = 0.6
"""Seconds of a deadline that is meant to pass."""
LATE = 10
"""Seconds that a wait may outlive its deadline on a machine with much else to do: it would last for ever."""


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def read(connection: BoundedSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += connection.recv(size - len(data))
    return data


@pytest.fixture(params=["tcp", "tls"])
def pair(
    request: pytest.FixtureRequest,
    serve: Serve,
    connect: Connect,
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
) -> Callable[[Callable[[socket.socket], object]], BoundedSocket]:
    """A connection to a server with that handler, plain and within TLS."""
    tls = request.param == "tls"

    def make(handler: Callable[[socket.socket], object]) -> BoundedSocket:
        server = serve(handler, tls=server_tls if tls else None)
        connection = connect(server.port)
        if tls:
            connection.encrypt(client_tls, "localhost")
        return connection

    return make


def test_both_ways(pair: Callable[..., BoundedSocket]) -> None:
    connection = pair(echo)
    assert connection.send(b"a") == 1
    connection.sendall(b"b" * 300)
    assert read(connection, 301) == b"a" + b"b" * 300
    assert (connection.tls_version is None) or connection.tls_version.startswith("TLSv1.")


def test_more_than_the_buffers_of_the_system_hold(pair: Callable[..., BoundedSocket]) -> None:
    size = 5 * 2**20

    def swallow(connection: socket.socket) -> None:
        left = size
        while left:
            left -= len(connection.recv(65536))
        connection.sendall(b"done")

    connection = pair(swallow)
    connection.sendall(b"x" * size)
    assert read(connection, 4) == b"done"


def test_small_packets_leave_at_once(connect: Connect, serve: Serve) -> None:
    connection = connect(serve(echo).port)
    assert connection._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_reader_ends_with_the_connection(pair: Callable[..., BoundedSocket]) -> None:
    connection = pair(lambda peer: peer.sendall(b"one\ntwo"))
    with connection.makefile("rb") as lines:
        assert lines.readlines() == [b"one\n", b"two"]


def test_silence(pair: Callable[..., BoundedSocket]) -> None:
    connection = pair(echo)
    connection.deadline, connection.waits_for = Deadline.after(SOON), "the answer"
    with pytest.raises(ComputeTimeoutError, match=r"^no answer in time while waiting for the answer$"):
        connection.recv(1)
    with pytest.raises(ComputeTimeoutError):
        connection.sendall(b"too late")
    with pytest.raises(ComputeTimeoutError):
        connection.check_time()
    connection.renew(Deadline.after(20))
    connection.check_time()
    connection.sendall(b"again")
    assert read(connection, 5) == b"again"


def test_nobody_reads(pair: Callable[..., BoundedSocket]) -> None:
    done, much = threading.Event(), bytes(2**26)
    connection = pair(lambda _: done.wait(30))
    connection.deadline = Deadline.after(SOON)
    try:
        with pytest.raises(ComputeTimeoutError):
            connection.sendall(much)
    finally:
        done.set()
    assert not connection.alive  # nobody knows how much of it arrived


def test_a_drip_ends_at_the_deadline(pair: Callable[..., BoundedSocket]) -> None:
    def drip(connection: socket.socket) -> None:
        while True:
            connection.sendall(b".")
            time.sleep(0.01)

    connection = pair(drip)
    connection.deadline = Deadline.after(SOON)
    with pytest.raises(ComputeTimeoutError):
        connection.makefile().readline()
    assert time.monotonic() < connection.deadline.expires_at + LATE


def test_the_end_in_good_order(pair: Callable[..., BoundedSocket]) -> None:
    connection = pair(lambda peer: peer.recv(1))
    connection.waits_for = "the login"
    connection.sendall(b".")
    with pytest.raises(ClosedError, match=r"^the server closed the connection while .* the login$"):
        connection.recv(1)


def test_a_reset(connect: Connect, serve: Serve) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    connection = connect(serve(reset).port)
    connection.waits_for = "the login"
    connection.sendall(b".")
    with pytest.raises(ComputeConnectionError, match=r"^the server reset the connection while we waited for"):
        connection.recv(1)


def test_a_flood_has_a_limit_that_each_validation_has_anew(connect: Connect, serve: Serve) -> None:
    connection = connect(serve(echo).port, byte_limit=10)
    for _ in range(2):
        connection.sendall(b"x" * 8)
        assert read(connection, 8) == b"x" * 8
        connection.renew(Deadline.after(20))
    connection.sendall(b"x" * 11)
    with pytest.raises(ProtocolError, match="longer than 10 bytes"):
        read(connection, 11)


class TestAlive:
    def test_open_and_silent(self, pair: Callable[..., BoundedSocket]) -> None:
        connection = pair(echo)
        for _ in range(3):
            connection.sendall(b"x")
            assert read(connection, 1) == b"x"
            assert connection.alive
        connection.deadline = Deadline.after(0)
        assert connection.alive  # that its time is up is no word about it
        connection.close()
        assert not connection.alive

    def test_something_came_unasked(
        self, pair: Callable[..., BoundedSocket], wait_until: Callable[..., Any]
    ) -> None:
        connection = pair(lambda peer: (peer.sendall(b"?"), peer.recv(1)))
        wait_until(lambda: not connection.alive, 20, "the byte arrives")

    def test_closed_meanwhile(
        self, pair: Callable[..., BoundedSocket], wait_until: Callable[..., Any]
    ) -> None:
        connection = pair(lambda _: None)
        wait_until(lambda: not connection.alive, 20, "the end arrives")


class TestConnecting:
    def test_refused(self, no_leaks: None) -> None:
        with (
            FaultProxy(fault=Fault.REFUSE) as proxy,
            pytest.raises(ComputeConnectionError, match=r"^Connection refused$"),
        ):
            BoundedSocket("127.0.0.1", proxy.port, Deadline.after(20))

    def test_packets_are_dropped(self, no_leaks: None) -> None:
        with (
            FaultProxy(fault=Fault.BLACKHOLE) as proxy,
            pytest.raises(ComputeTimeoutError, match="while waiting for the TCP connection"),
        ):
            BoundedSocket("127.0.0.1", proxy.port, Deadline.after(SOON))

    def test_no_time_is_left(self, serve: Serve) -> None:
        with pytest.raises(ComputeTimeoutError):
            BoundedSocket("127.0.0.1", serve(echo).port, Deadline.after(-1))

    def test_no_port(self, no_leaks: None) -> None:
        with pytest.raises(ComputeConfigurationError, match="70000"):
            BoundedSocket("127.0.0.1", 70000, Deadline.after(1))

    def test_names_are_somebody_elses_to_look_up(self, no_leaks: None) -> None:
        with pytest.raises(ValueError, match="localhost"):
            BoundedSocket("localhost", 1, Deadline.after(1))

    def test_the_monitors_own_shortage_is_no_failure_of_the_target(
        self, no_leaks: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        taken: list[socket.socket] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        try:
            with contextlib.suppress(OSError):
                taken.extend(socket.socket() for _ in range(100))
            with pytest.raises(OSError, match="Too many open files") as caught:
                BoundedSocket("127.0.0.1", 1, Deadline.after(1))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for each in taken:
                each.close()
        assert type(caught.value) is OSError


class TestTls:
    def test_a_certificate_nobody_vouches_for(
        self, serve: Serve, connect: Connect, server_tls: ssl.SSLContext
    ) -> None:
        stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trustme.CA().configure_trust(stranger)
        connection = connect(serve(echo, tls=server_tls).port)
        with pytest.raises(ComputeConnectionError, match=r"certificate is refused: .*(issuer|signature)"):
            connection.encrypt(stranger, "localhost")

    def test_another_servers_certificate(
        self, serve: Serve, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        connection = connect(serve(echo, tls=server_tls).port)
        with pytest.raises(ComputeConnectionError, match=r"certificate is refused: Hostname mismatch"):
            connection.encrypt(client_tls, "elsewhere.example")

    def test_the_server_hears_why(self, serve: Serve, connect: Connect, client_tls: ssl.SSLContext) -> None:
        heard: list[str] = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(context)

        def shake_hands(raw: socket.socket) -> None:
            try:
                with context.wrap_socket(raw, server_side=True) as within:
                    within.recv(1)
            except ssl.SSLError as error:
                heard.append(error.reason or "")

        server = serve(shake_hands)
        with pytest.raises(ComputeConnectionError):
            connect(server.port).encrypt(client_tls, "localhost")
        server.close()
        assert "ALERT_UNKNOWN_CA" in heard[0]

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b"220 hello\r\n"])
    def test_a_server_without_tls(
        self, serve: Serve, connect: Connect, client_tls: ssl.SSLContext, answer: bytes
    ) -> None:
        server = serve(lambda peer: (peer.recv(1000), peer.sendall(answer)))
        with pytest.raises(ComputeConnectionError, match=r"^TLS failed: \w+"):
            connect(server.port).encrypt(client_tls, "localhost")

    def test_the_end_within_the_handshake(
        self, serve: Serve, connect: Connect, client_tls: ssl.SSLContext
    ) -> None:
        server = serve(lambda peer: peer.recv(1000))
        with pytest.raises(ClosedError, match="while we waited for the TLS handshake"):
            connect(server.port).encrypt(client_tls, "localhost")

    @pytest.mark.parametrize(
        ("fault", "options"),
        [
            (Fault.DRIP, {"rate": 50}),
            (Fault.HANG_AFTER, {"after": 100}),
            (Fault.HANG, {}),
            (Fault.FREEZE, {}),
        ],
    )
    def test_the_handshake_ends_at_the_deadline(
        self,
        serve: Serve,
        connect: Connect,
        server_tls: ssl.SSLContext,
        client_tls: ssl.SSLContext,
        fault: Fault,
        options: dict[str, Any],
    ) -> None:
        server = serve(echo, tls=server_tls)
        with FaultProxy(server.port, fault, **options) as proxy:
            connection = connect(proxy.port, SOON)
            with pytest.raises(ComputeTimeoutError, match="while waiting for the TLS handshake"):
                connection.encrypt(client_tls, "localhost")
            assert time.monotonic() < connection.deadline.expires_at + LATE
            connection.close()

    def test_frozen_once_encrypted(
        self, serve: Serve, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        server = serve(echo, tls=server_tls)
        with FaultProxy(server.port) as proxy:
            connection = connect(proxy.port)
            connection.encrypt(client_tls, "localhost")
            connection.sendall(b"x")
            assert read(connection, 1) == b"x"
            proxy.set(Fault.FREEZE)
            connection.deadline = Deadline.after(SOON)
            connection.sendall(b"x")
            with pytest.raises(ComputeTimeoutError):
                connection.recv(1)
            connection.close()

    def test_cut_off_without_a_word(
        self, serve: Serve, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        def cut_off(connection: socket.socket) -> None:
            connection.sendall(b"half")
            connection.recv(1)
            socket.close(connection.detach())

        connection = connect(serve(cut_off, tls=server_tls).port)
        connection.encrypt(client_tls, "localhost")
        assert read(connection, 4) == b"half"
        connection.sendall(b".")
        with pytest.raises(ClosedError):
            connection.recv(1)

    def test_within_tls(
        self, serve: Serve, connect: Connect, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
    ) -> None:
        """As behind a proxy that is spoken to in TLS itself."""

        def shake_hands_again(outer: socket.socket) -> None:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            inner = server_tls.wrap_bio(incoming, outgoing, server_side=True)

            def drive(operation: Callable[[], Any]) -> Any:
                while True:
                    try:
                        result = operation()
                    except ssl.SSLWantReadError:
                        outer.sendall(outgoing.read())
                        incoming.write(outer.recv(65536))
                    else:
                        outer.sendall(outgoing.read())
                        return result

            drive(inner.do_handshake)
            data = drive(lambda: inner.read(100))
            drive(lambda: inner.write(data[::-1]))
            outer.recv(1)

        connection = connect(serve(shake_hands_again, tls=server_tls).port)
        connection.encrypt(client_tls, "localhost")
        connection.encrypt(client_tls, "localhost")
        connection.sendall(b"abc")
        assert read(connection, 3) == b"cba"
        assert connection.alive

    def test_no_name_for_tls(self, serve: Serve, connect: Connect, client_tls: ssl.SSLContext) -> None:
        connection = connect(serve(echo).port)
        with pytest.raises(ComputeConfigurationError, match="no host name"):
            connection.encrypt(client_tls, ".x")


class TestTheServersCertificate:
    """When it ends is noted once the handshake is over, whoever verifies it."""

    @pytest.mark.parametrize("verify", [True, False])
    def test_its_end(
        self,
        serve: Serve,
        connect: Connect,
        authority: trustme.CA,
        client_tls: ssl.SSLContext,
        verify: bool,
    ) -> None:
        until = datetime(2040, 5, 6, 7, 8, 9, tzinfo=UTC)
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", not_after=until).configure_cert(tls)
        evidence = Evidence()
        connection = connect(serve(echo, tls=tls).port)
        with gathering(evidence):
            connection.encrypt(client_tls if verify else tls_context(verify=False), "localhost")
        noted = (Expiry(ExpiryKind.SERVER_CERTIFICATE, until.timestamp(), "the certificate of localhost"),)
        assert evidence.noted.expiries == noted
        again = Evidence()
        with gathering(again):
            connection.note_certificates()
        assert again.noted.expiries == noted
