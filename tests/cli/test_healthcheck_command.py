from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from floe_monitor.testing.fault_proxy import Fault, FaultProxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def answering(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A server that sends each connection `answer`, or nothing; its port and the requests it got."""
    requests: list[bytes] = []
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            held.append(connection)
            requests.append(connection.recv(4_096))
            if answer is not None:
                connection.sendall(answer)
                connection.close()

    server = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield server.getsockname()[1], requests
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)
        for each in held:
            each.close()


def said(status: str, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_well_daemon_is_asked_at_the_configured_port_through_no_proxy(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    with answering(said("200 OK", b"ok\n")) as (port, requests):
        (place / "floe-monitor.yaml").write_text(f"http: {{host: 0.0.0.0, port: {port}}}\ntargets: {{}}\n")
        done = call("healthcheck")
        assert (done.code, done.out, done.err) == (0, "ok\n", "")
        assert requests[0].startswith(b"GET /healthz HTTP/1.1\r\n")
        assert call("healthcheck", "--ready").code == 0
        assert requests[1].startswith(b"GET /readyz HTTP/1.1\r\n")


def test_an_ill_daemon_is_quoted(call: Any, place: Path) -> None:
    with answering(said("503 Service Unavailable", b"failing\n- 4 stuck workers\n")) as (port, _):
        (place / "floe-monitor.yaml").write_text(f"http: {{port: {port}}}\n")
        done = call("healthcheck")
    assert (done.code, done.out) == (1, "")
    assert done.err == f"127.0.0.1 port {port} answers 503 to /healthz:\nfailing\n- 4 stuck workers\n"


def test_no_answer_is_one_line(call: Any, place: Path) -> None:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        (place / "floe-monitor.yaml").write_text(f"http: {{port: {port}}}\n")
        done = call("healthcheck")
    assert (done.code, done.err) == (1, f"no answer from 127.0.0.1 port {port}: connection refused\n")
    with answering(None) as (port, _):
        (place / "floe-monitor.yaml").write_text(f"http: {{port: {port}}}\n")
        done = call("healthcheck", "--timeout", "100ms")
    assert (done.code, done.err) == (1, f"no answer from 127.0.0.1 port {port}: no answer within 0.1 s\n")
    with answering(b"SSH-2.0-x\r\n") as (port, _):
        (place / "floe-monitor.yaml").write_text(f"http: {{port: {port}}}\n")
        done = call("healthcheck")
    assert done.code == 1
    assert "what answers is no floe-monitor: the answer is no HTTP (BadStatusLine)" in done.err


def test_the_time_is_that_of_the_whole_answer(call: Any, place: Path) -> None:
    """One that drips in answers each wait in time: this one would take ten seconds."""
    answer = said("200 OK", b"o" * 160)
    with answering(answer) as (upstream, _), FaultProxy(upstream, Fault.DRIP, rate=20) as proxy:
        (place / "floe-monitor.yaml").write_text(f"http: {{port: {proxy.port}}}\n")
        done = call("healthcheck", "--timeout", "500ms")
        assert proxy.answered < len(answer)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"no answer from 127.0.0.1 port {proxy.port}: no answer within 0.5 s\n"


def test_what_else_the_configuration_holds_does_not_matter(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon goes on with its former configuration where the new one is refused, or torn."""
    config = place / "floe-monitor.yaml"
    with answering(said("200 OK", b"ok\n")) as (port, _):
        config.write_text(f"http: {{port: {port}}}\nprofiles: 7\nnonsense: 1\n")
        assert call("healthcheck").code == 0
        monkeypatch.setenv("FLOE_MONITOR_HTTP__PORT", str(port))
        config.write_text("http: {port: 1\ntargets: [")
        assert call("healthcheck").code == 0


def test_an_address_that_is_not_known_is_refused(call: Any, place: Path) -> None:
    config = place / "floe-monitor.yaml"
    for written, problem in (
        ("{port: 0}", "http.port is 0"),
        ("{port: x}", ":1:8: http.port: must be a whole"),
    ):
        config.write_text(f"http: {written}\n")
        done = call("healthcheck")
        assert done.code == 2
        assert problem in done.err


def test_it_asks_where_health_answers(call: Any, place: Path) -> None:
    """On the listener for health alone, at the socket where there is nothing else, else in TLS."""
    config = place / "floe-monitor.yaml"
    tls = "tls: {certificate: none.crt, key: none.key}"
    with answering(said("200 OK", b"ok\n")) as (port, _):
        config.write_text(f"http: {{host: 0.0.0.0, port: 1, health: {{port: {port}}}, {tls}}}\n")
        assert call("healthcheck").code == 0
        config.write_text(f"http: {{port: {port}, {tls}}}\n")
        assert call("healthcheck").code == 1
    config.write_text("http: {port: 1, health: {port: 0}}\n")
    assert "http.health.port is 0" in call("healthcheck").err
    path = place / "http.sock"
    config.write_text(f"http: {{socket: {{path: {path}, only: true}}}}\n")
    done = call("healthcheck")
    assert (done.code, done.err) == (1, f"no answer from {path}: no such file or directory\n")
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(path))
        server.listen()
        thread = threading.Thread(target=answer_once, args=(server,))
        thread.start()
        assert call("healthcheck").code == 0
        thread.join(60)


def answer_once(server: socket.socket) -> None:
    with server.accept()[0] as connection:
        connection.recv(4_096)
        connection.sendall(said("200 OK", b"ok\n"))


def test_a_certificate_of_another_name_does_not_make_the_daemon_ill(call: Any, place: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("monitor.example").configure_cert(context)
    with closing(socket.create_server(("127.0.0.1", 0))) as plain:
        server = context.wrap_socket(plain, server_side=True)
        thread = threading.Thread(target=answer_once, args=(server,))
        thread.start()
        (place / "floe-monitor.yaml").write_text(
            f"http: {{port: {server.getsockname()[1]}, tls: {{certificate: none.crt, key: none.key}}}}\n"
        )
        assert call("healthcheck").code == 0
        thread.join(60)
        server.close()
