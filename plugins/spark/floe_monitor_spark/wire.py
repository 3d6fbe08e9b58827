"""Connections on which no wait outlives one moment, and Thrift's transport over them.

Thrift's own sockets and HTTP client take a timeout for each operation: an answer that drips byte by byte
keeps them busy for ever, and connecting and the name service have none. Here every operation is given what
is left until the deadline, and an answer has a limit of size.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from thrift.transport.TTransport import TTransportBase

from floe_monitor.compute.toolkit.blocking_calls import family_of
from floe_monitor_spark.errors import LinkError, StrangeError, TimedOutError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
CHUNK = 65536
LIMIT = 8 * 2**20
"""Bytes that one connection may bring in a validation, whose answers are a few kilobytes."""


class Link:
    """A socket whose waits all end at `expires_at`, on `time.monotonic`'s clock."""

    starts_over = False
    """After a failure nothing can be told about what comes next."""

    def __init__(self, address: tuple[str, int], expires_at: float) -> None:
        """Connects. Raises `LinkError` or `TimedOutError`."""
        self.expires_at = expires_at
        self.waits_for = "the TCP connection"
        """For the text of a timeout."""
        self._read = 0
        self._tls: ssl.SSLObject | None = None
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._socket = socket.socket(family_of(address[0]), socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._guarded(lambda: self._socket.connect(address))
        except BaseException:
            self._socket.close()
            raise

    def renew(self, expires_at: float) -> None:
        """For another validation: its time, and all of `LIMIT`."""
        self.expires_at = expires_at
        self._read = 0

    @property
    def alive(self) -> bool:
        """Whether it is open and silent, as it is between two answers. Does not wait."""
        try:
            self._socket.settimeout(0)
            data = self._socket.recv(CHUNK)
            if data and self._tls is not None:
                # TLS' own affair, perhaps: tickets, new keys.
                self._incoming.write(data)
                self._tls.read(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        return False

    def check_time(self) -> None:
        if time.monotonic() >= self.expires_at:
            raise TimedOutError(self.waits_for)

    def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """A TLS handshake; from then on everything is encrypted."""
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._encrypted(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        """At least one byte; `LinkError` at the end of the stream."""
        size = min(size, CHUNK)
        if self._tls is None:
            data = self._guarded(partial(self._socket.recv, size))
        else:
            data = self._encrypted(partial(self._tls.read, size))
        if not data:
            raise LinkError(f"the server closed the connection while we waited for {self.waits_for}")
        self._read += len(data)
        if self._read > LIMIT:
            raise StrangeError(f"the answer is longer than {LIMIT} bytes")
        return data

    def sendall(self, data: bytes) -> None:
        if self._tls is None:
            self._send(data)
        else:
            self._encrypted(partial(self._tls.write, data))

    def _encrypted(self, operation: Callable[[], _T]) -> _T:
        """OpenSSL works on memory alone: what it wants to read or write goes through this class' waits."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._send(self._outgoing.read())
                if data := self._guarded(partial(self._socket.recv, CHUNK)):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLCertVerificationError as error:
                raise LinkError(f"the server's certificate does not hold: {error.verify_message}") from error
            except ssl.SSLEOFError:
                raise LinkError(
                    f"the server closed the connection while we waited for {self.waits_for}"
                ) from None
            except ssl.SSLError as error:
                raise LinkError(f"TLS failed: {error.reason or error}") from error
            else:
                self._send(self._outgoing.read())
                return result

    def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._guarded(partial(self._socket.send, rest)) :]

    def makefile(self, mode: str = "rb") -> io.BufferedReader:  # noqa: ARG002 - as http.client asks for it
        return io.BufferedReader(_Raw(self), CHUNK)

    def close(self) -> None:
        self._socket.close()

    def _guarded(self, operation: Callable[[], _T]) -> _T:
        left = self.expires_at - time.monotonic()
        if left <= 0:
            raise TimedOutError(self.waits_for)
        try:
            self._socket.settimeout(left)
            return operation()
        except TimeoutError:
            raise TimedOutError(self.waits_for) from None
        except (ConnectionResetError, BrokenPipeError) as error:
            raise LinkError(
                f"the server reset the connection while we waited for {self.waits_for}"
            ) from error
        except OSError as error:
            raise LinkError(error.strerror or str(error) or "the connection broke") from error


class _Raw(io.RawIOBase):
    def __init__(self, link: Link) -> None:
        self._link = link

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._link.recv(len(buffer))
        except LinkError as error:
            if error.__cause__ is not None:
                raise
            return 0  # an end of file is for http.client to judge
        buffer[: len(data)] = data
        return len(data)


class LinkTransport(TTransportBase):  # type: ignore[misc]  # thrift has no types
    """A connected `Link` as a Thrift transport."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def isOpen(self) -> bool:  # noqa: N802 - thrift's name
        return True

    def open(self) -> None:
        """It is."""

    def read(self, size: int) -> bytes:
        return self._link.recv(size)

    def write(self, data: bytes) -> None:
        self._link.sendall(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._link.close()
