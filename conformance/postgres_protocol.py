"""The server's side of Postgres' wire protocol: what Redshift's stand-in and its front both speak of it."""

from __future__ import annotations

import socket
import socketserver
import struct
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

_TLS_REQUEST = 80877103


class PostgresHandler(socketserver.BaseRequestHandler, ABC):
    """One connection. Its end by the client is no error."""

    request: socket.socket

    def handle(self) -> None:
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError, EOFError):
            self.serve()

    def finish(self) -> None:
        self.request.close()  # within TLS it is another than the server's

    @abstractmethod
    def serve(self) -> None:
        """Until the connection's end."""

    def startup(self, tls: ssl.SSLContext | None) -> tuple[int, bytes, bool]:
        """Kind and body of what comes after TLS, where a client asks for it, and whether that is in use."""
        kind, body = self.first()
        if kind != _TLS_REQUEST:
            return kind, body, False
        if tls is None:
            self.request.sendall(b"N")
        else:
            self.request.sendall(b"S")
            self.request = tls.wrap_socket(self.request, server_side=True)
        return *self.first(), tls is not None

    def receive(self) -> tuple[bytes, bytes]:
        """Kind and body of the next message."""
        head = self._exactly(5)
        return head[:1], self._exactly(struct.unpack("!I", head[1:])[0] - 4)

    def send(self, kind: bytes, body: bytes) -> None:
        self.request.sendall(kind + sized(body))

    def first(self) -> tuple[int, bytes]:
        """Kind and body of a connection's first message, which may be the request for TLS."""
        (length, kind) = struct.unpack("!II", self._exactly(8))
        return kind, self._exactly(length - 8)

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = self.request.recv(size - len(found))
            if not more:
                raise EOFError
            found += more
        return found


def sized(body: bytes) -> bytes:
    """With the length before it, which counts itself."""
    return struct.pack("!I", len(body) + 4) + body


def parameters_in(body: bytes) -> dict[str, str]:
    """Of the first message, its names and values."""
    texts = [part.decode() for part in body.split(b"\0")]
    found = dict(zip(texts[::2], texts[1::2], strict=False))
    found.pop("", None)
    return found
