"""Certificates on a server that runs: replaced, not fitting, torn; and handshakes that do not end."""

from __future__ import annotations

import asyncio.sslproto
import contextlib
import gc
import logging
import os
import shutil
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest
import trustme

from floe_monitor.web import tls
from floe_monitor.web.descriptor_reserve import DescriptorReserve
from floe_monitor.web.listeners import listen
from floe_monitor.web.protocol import Connections, Limits
from floe_monitor.web.server import Service, serve
from floe_monitor.web.tls import CertificateError, ServerCertificate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

AUTHORITY = trustme.CA()


class Pair:
    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "tls.crt", folder / "tls.key"

    def write(self, made: trustme.LeafCert, *, key: bool = True, certificate: bool = True) -> None:
        if certificate:
            _replace(self.certificate, b"".join(blob.bytes() for blob in made.cert_chain_pems))
        if key:
            _replace(self.key, made.private_key_pem.bytes())

    def load(self) -> ServerCertificate:
        return ServerCertificate(str(self.certificate), str(self.key))


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.rename(path)


def issue() -> trustme.LeafCert:
    return AUTHORITY.issue_cert("localhost", "127.0.0.1", key_type=trustme.KeyType.ECDSA)


def der(made: trustme.LeafCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


@asynccontextmanager
async def encrypted(app: Any, certificate: ServerCertificate, interval: float = 0.02) -> AsyncIterator[int]:
    """The port of a server that looks for another pair all the time."""
    listener = listen("127.0.0.1", 0, certificate)
    assert listener.url.startswith("https://")
    async with anyio.create_task_group() as tasks:
        await tasks.start(serve, Service(app, (listener,), Limits()))
        tasks.start_soon(certificate.follow, lambda: interval)
        try:
            yield listener.port
        finally:
            tasks.cancel_scope.cancel()


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


def shown(port: int, name: str | None = "localhost") -> bytes:
    """The certificate of a new connection; without a name, none is sent in the handshake."""
    context = client_context()
    context.check_hostname = name is not None
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=name) as made,
    ):
        made.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert made.recv(15) == b"HTTP/1.1 200 OK"
        return made.getpeercert(binary_form=True) or b""


async def show(port: int, name: str | None = "localhost") -> bytes:
    return await anyio.to_thread.run_sync(shown, port, name)


async def until_shown(port: int, expected: bytes) -> None:
    with anyio.fail_after(60):
        while await show(port) != expected:  # noqa: ASYNC110 - asked again
            await anyio.sleep(0.02)


async def test_a_replaced_pair_is_taken_and_open_connections_keep_theirs(surface: Any, pair: Pair) -> None:
    first, second = issue(), issue()
    pair.write(first)
    async with encrypted(surface.app(), pair.load()) as port:
        assert await show(port) == der(first)
        kept = await anyio.connect_tcp(
            "127.0.0.1", port, ssl_context=client_context(), tls_hostname="localhost"
        )
        pair.write(second)
        await until_shown(port, der(second))
        assert await show(port, None) == der(second)
        async with kept:
            await kept.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            said = b""
            while not said.endswith(b"ok\n"):
                said += await kept.receive()
            assert said.startswith(b"HTTP/1.1 200 OK")


async def test_a_pair_that_does_not_fit_is_told_once_and_not_taken(
    surface: Any, pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = issue(), issue()
    pair.write(first)
    async with encrypted(surface.app(), pair.load()) as port:
        pair.write(second, key=False)
        with anyio.fail_after(60):
            while "is not taken" not in caplog.text:  # noqa: ASYNC110 - a log signals nothing
                await anyio.sleep(0.01)
        for _ in range(3):
            assert await show(port) == der(first)
        pair.key.unlink()
        with anyio.fail_after(60):
            while "no such file" not in caplog.text:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.01)
        assert await show(port) == der(first)
        pair.write(second)
        await until_shown(port, der(second))
    told = [record.getMessage() for record in caplog.records if record.name == "floe_monitor.tls"]
    refused, both = (
        "the new certificate is not taken, the former stays in use",
        f"{pair.certificate} and {pair.key}",
    )
    assert told == [
        f"{refused}: http.tls: {both} do not go together: the key is not that of the certificate",
        f"{refused}: http.tls.key: {pair.key}: no such file or directory",
        f"a new certificate is in use: {pair.certificate}",
    ]


def test_what_cannot_serve_is_refused_at_the_start(pair: Pair, tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match=r"http\.tls\.certificate: .*tls\.crt: no such file"):
        pair.load()
    pair.write(issue())
    pair.write(issue(), certificate=False)
    with pytest.raises(CertificateError, match="the key is not that of the certificate"):
        pair.load()
    pair.key.write_text("junk")
    with pytest.raises(CertificateError, match="do not go together"):
        pair.load()
    pair.key.unlink()
    os.mkfifo(pair.key)
    with pytest.raises(CertificateError, match=r"http\.tls\.key: .*: not a regular file"):
        pair.load()
    pair.key.unlink()
    pair.key.write_bytes(b"x" * (1 << 20) + b"x")
    with pytest.raises(CertificateError, match="larger than 1 MB"):
        pair.load()


@pytest.mark.process
def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(pair: Pair) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    pair.write(issue())
    plain = pair.key.with_suffix(".plain")
    pair.key.rename(plain)
    command: list[str | Path] = [
        openssl,
        "pkey",
        "-in",
        plain,
        "-aes128",
        "-passout",
        "pass:hunter2",
        "-out",
        pair.key,
    ]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(CertificateError, match="is encrypted; `openssl pkey -in"):
        pair.load()


async def test_who_does_not_speak_tls_hinders_nobody(surface: Any, pair: Pair) -> None:
    pair.write(issue())
    async with encrypted(surface.app(), pair.load()) as port:
        for opening in (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00", b"\0" * 600):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(opening)
        await show(port)


async def test_handshakes_that_do_not_end_are_few(
    surface: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of silent clients the one that began first is closed for each beyond the limit."""
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 600.0)  # else their time would be over some day
    pair.write(issue())
    async with encrypted(surface.app(), pair.load()) as port:
        silent = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(40)]
        with anyio.fail_after(60):
            for stream in silent[:8]:
                with contextlib.suppress(anyio.BrokenResourceError), pytest.raises(anyio.EndOfStream):
                    await stream.receive()
        await show(port)
        for stream in silent:
            await stream.aclose()


async def test_a_handshake_that_failed_makes_room(
    surface: Any, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_SECONDS", 0.05)
    pair.write(issue())
    state = Connections(Limits(), DescriptorReserve(0))
    loop = asyncio.get_running_loop()
    context = pair.load().context
    connect = lambda: tls.TlsProtocol(loop, asyncio.Protocol(), context, state.handshakes)  # noqa: E731
    async with await loop.create_server(connect, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        silent, garbage, gone = [await anyio.connect_tcp("127.0.0.1", port) for _ in range(3)]
        with anyio.fail_after(60):
            await garbage.send(b"GET / HTTP/1.1\r\n\r\n")
            await gone.aclose()
            with contextlib.suppress(anyio.BrokenResourceError), pytest.raises(anyio.EndOfStream):
                await silent.receive()
            while len(state.handshakes):  # noqa: ASYNC110 - a table signals nothing
                await anyio.sleep(0.01)
        await silent.aclose()
        await garbage.aclose()


async def test_a_connection_reads_into_a_small_buffer(surface: Any, pair: Pair) -> None:
    """asyncio keeps 256 KiB for each. Read from the loop's transports: memory is no clear measure."""
    pair.write(issue())
    found: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        for transport in loop._transports.values():  # type: ignore[attr-defined]
            encrypted_by = getattr(transport, "_protocol", None)
            if isinstance(encrypted_by, asyncio.sslproto.SSLProtocol):
                found.append(len(encrypted_by._ssl_buffer))  # type: ignore[attr-defined]
        await surface.app()(scope, receive, send)

    async with encrypted(app, pair.load()) as port:
        await show(port)
    assert found == [16_384]


async def test_a_large_answer_arrives_whole_and_a_large_body_is_refused(surface: Any, pair: Pair) -> None:
    pair.write(issue())
    surface.page.body = b"x" * 3_000_000
    async with encrypted(surface.app(), pair.load()) as port:
        import httpx

        async with httpx.AsyncClient(
            verify=client_context(), base_url=f"https://localhost:{port}", timeout=60
        ) as client:
            assert (await client.get("/metrics")).content == surface.page.body
            assert (await client.post("/-/reload", content=b"y" * 200_000)).status_code == 413
            assert (await client.get("/healthz")).text == "ok\n"


async def test_a_client_that_takes_no_answer_is_not_read_from(surface: Any, pair: Pair) -> None:
    """What it sends stays with it, as without TLS: here some 100 KiB are held for it, not megabytes."""
    pair.write(issue())
    requests = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 300
    async with encrypted(surface.app(), pair.load()) as port:
        plain = socket.socket()
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        plain.connect(("127.0.0.1", port))
        greedy = await anyio.to_thread.run_sync(
            lambda: client_context().wrap_socket(plain, server_hostname="localhost")
        )
        greedy.setblocking(False)
        sent = refused = 0
        with contextlib.closing(greedy):
            while sent < 64_000_000 and refused < 100:
                try:
                    sent += greedy.send(requests)
                    refused = 0
                except ssl.SSLWantWriteError:
                    refused += 1
                await anyio.sleep(0.001 if refused else 0)
            assert 0 < sent < 16_000_000
            held = [held_for(each) for each in gc.get_objects() if is_open(each)]
            assert len(held) == 1
            assert held[0] < 200_000
            await show(port)


def is_open(each: Any) -> bool:
    encrypted_by = isinstance(each, asyncio.sslproto._SSLProtocolTransport) and each._ssl_protocol
    return bool(encrypted_by and getattr(encrypted_by, "_transport", None))


def held_for(transport: Any) -> int:
    """Bytes read and not asked for, and written and not sent."""
    encrypted_by = transport._ssl_protocol
    return int(encrypted_by._get_read_buffer_size() + encrypted_by._get_write_buffer_size())
