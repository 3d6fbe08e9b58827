"""The listener's certificate: replaced while it serves, by a pair that has been tried, or not at all.

The context that asyncio holds is never loaded a second time: a certificate loaded over the former key leaves
it unable to serve anybody. Each pair gets a context of its own, and a handshake is given the one in force.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import ssl
import stat
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import anyio
import anyio.to_thread

from floe_monitor.compute.errors import resource_error_in

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("floe_monitor.tls")

HANDSHAKE_SECONDS, SHUTDOWN_SECONDS = 5.0, 2.0
MOST_HANDSHAKES = 32
"""Under way at once; each takes 0.3 MB. Of more, the one that began first gives way."""

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
    """Connections whose handshake is under way: asyncio tells its protocol of them only afterwards."""

    def __init__(self, most: int = MOST_HANDSHAKES) -> None:
        self._most = most
        self._under_way: dict[int, socket.socket] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    def begin(self, accepted: socket.socket) -> None:
        # One that failed has been closed, and its number may be another's.
        self._under_way = {at: each for at, each in self._under_way.items() if each.fileno() == at}
        self._under_way.pop(accepted.fileno(), None)
        self._under_way[accepted.fileno()] = accepted
        if len(self._under_way) > self._most:
            oldest = self._under_way.pop(next(iter(self._under_way)))
            with suppress(OSError):  # the client has gone
                oldest.shutdown(socket.SHUT_RDWR)

    def end(self, descriptor: int) -> None:
        self._under_way.pop(descriptor, None)


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
