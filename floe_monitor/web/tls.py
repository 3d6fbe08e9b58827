"""The listener's certificate: replaced while it serves, by a pair that has been tried, or not at all.

The context that asyncio holds is never loaded a second time: a certificate loaded over the former key leaves
it unable to serve anybody. Each pair gets a context of its own, and a handshake is given the one in force.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import hashlib
import logging
import os
import ssl
import stat
import time
from typing import TYPE_CHECKING, Any, NoReturn

import anyio
import anyio.to_thread

from floe_monitor.compute.errors import resource_error_in

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("floe_monitor.tls")

HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 5, 2
MOST_HANDSHAKES = 32
"""Under way at once; of more, the one that began first gives way."""

READ = 16_384
"""Bytes taken from a socket at once, and so what a connection holds unparsed."""

_MOST_BYTES = 1 << 20
_SETTLE_SECONDS = 0.2


class CertificateError(Exception):
    """The pair cannot serve; the message says which file, why and what to do."""


class ServerCertificate:
    """`context` is for the server. Raises `CertificateError` where the first pair cannot serve. Blocking."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate, self._key = certificate, key
        self._seen = self._digest()
        self.context = self._current = self._load()
        self._problem = ""
        self.context.sni_callback = self._choose

    async def follow(self, interval: Callable[[], float]) -> None:
        """Take each pair that replaces the former, every so many seconds."""
        while True:
            await anyio.sleep(interval())
            try:
                await anyio.to_thread.run_sync(self._renew, abandon_on_cancel=True)
            except RuntimeError as error:  # no thread can be started: the next turn looks
                if resource_error_in(error) is None:
                    raise

    def _renew(self) -> None:
        """In a thread."""
        try:
            seen = self._digest()
            if seen == self._seen:
                return
            # The two files are replaced one after the other.
            time.sleep(_SETTLE_SECONDS)
            if self._digest() != seen:
                return
            fresh = self._load()
            if self._digest() != seen:
                return
        except CertificateError as error:
            if self._problem != str(error):
                log.error("the new certificate is not taken, the former stays in use: %s", error)  # noqa: TRY400 - foreseen
            self._problem = str(error)
            return
        self._seen, self._current, self._problem = seen, fresh, ""
        log.info("a new certificate is in use: %s", self._certificate)

    def _choose(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called in each handshake, whether the client names a server or not."""
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])

        def refuse() -> NoReturn:  # without it OpenSSL would ask on the terminal
            raise CertificateError(
                f"http.tls.key: {self._key} is encrypted; `openssl pkey -in {self._key}` writes it plainly"
            )

        try:
            context.load_cert_chain(self._certificate, self._key, refuse)
        except ssl.SSLError as error:
            reason = (error.reason or "no certificate and key in PEM").replace("_", " ").lower()
            if error.reason == "KEY_VALUES_MISMATCH":
                reason = "the key is not that of the certificate"
            raise CertificateError(
                f"http.tls: {self._certificate} and {self._key} do not go together: {reason}"
            ) from None
        except OSError as error:
            raise CertificateError(f"http.tls: {(error.strerror or 'unreadable').lower()}") from None
        return context

    def _digest(self) -> bytes:
        found = hashlib.blake2b()
        for name, path in (("certificate", self._certificate), ("key", self._key)):
            found.update(hashlib.blake2b(_read(f"http.tls.{name}", path)).digest())
        return found.digest()


class Handshakes:
    """Connections whose handshake is under way: the protocol within learns of them only afterwards."""

    def __init__(self, most: int = MOST_HANDSHAKES) -> None:
        self._most = most
        self._under_way: dict[asyncio.BaseProtocol, asyncio.Transport] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, within: asyncio.BaseProtocol, transport: asyncio.Transport) -> None:
        self._under_way[within] = transport
        if len(self._under_way) > self._most:
            self._under_way.pop(next(iter(self._under_way))).abort()

    def end(self, within: asyncio.BaseProtocol) -> None:
        self._under_way.pop(within, None)


class TlsProtocol(asyncio.sslproto.SSLProtocol):
    """asyncio's own, which `create_server` would make, with two differences: a connection counts from the
    moment it is accepted, and reads into 16 KiB. asyncio's 256 KiB, for 300 silent clients, are 77 MB."""

    max_size = READ

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        within: asyncio.Protocol,
        context: ssl.SSLContext,
        handshakes: Handshakes,
    ) -> None:
        super().__init__(
            loop,
            within,
            context,
            None,  # type: ignore[arg-type]  # nobody waits for the end of the handshake
            server_side=True,
            ssl_handshake_timeout=HANDSHAKE_SECONDS,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )
        self._within, self._handshakes = within, handshakes

    def connection_made(self, transport: Any) -> None:
        self._handshakes.begin(self._within, transport)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._handshakes.end(self._within)
        super().connection_lost(exc)


def _read(key: str, path: str) -> bytes:
    """Waits for nothing: a pipe is refused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise CertificateError(f"{key}: {path}: {(error.strerror or 'unreadable').lower()}") from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise CertificateError(f"{key}: {path}: not a regular file")
        try:
            content = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise CertificateError(f"{key}: {path}: {(error.strerror or 'unreadable').lower()}") from None
    if len(content) > _MOST_BYTES:
        raise CertificateError(f"{key}: {path}: larger than {_MOST_BYTES >> 20} MB, so no PEM file")
    return content
