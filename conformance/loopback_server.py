"""What the stand-ins share: a server on a free port of loopback with a thread for each connection."""

from __future__ import annotations

import socket
import socketserver
import ssl
import threading
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LOOPBACK = "127.0.0.1"


class LoopbackServer:
    """Serves from its construction until it is closed; with a TLS context `tls` in TLS alone.

    Its handlers are of the class `handler`, with an attribute `owner` that is this object.
    """

    def __init__(
        self, handler: type[socketserver.BaseRequestHandler], tls: ssl.SSLContext | None = None
    ) -> None:
        owned = type(handler.__name__, (handler,), {"owner": self})
        self._server = _Server((LOOPBACK, 0), owned)
        self._server.tls = tls
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name=f"{type(self).__name__}", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a handshake that never comes must not hold up the others."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error here."""


class HttpHandler(BaseHTTPRequestHandler):
    """Keeps connections open, and logs nothing."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    disable_nagle_algorithm = True

    def log_message(self, *_: object) -> None:
        pass

    def body(self) -> bytes:
        """Of the request."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(
        self, status: int, body: bytes, kind: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """With `kind` as its content's type."""
        self.send_response(status)
        for name, value in {**({} if kind is None else {"Content-Type": kind}), **(headers or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def free_port() -> int:
    """For a program that cannot be given a socket; another may take it until that listens."""
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        port: int = free.getsockname()[1]
        return port


def server_tls(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS for these names (for both of loopback's, where none is given), and its root's file."""
    import trustme  # noqa: PLC0415 - only where a server has TLS

    authority, root = trustme.CA(), folder / "root.pem"
    authority.cert_pem.write_to_path(root)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost", LOOPBACK))).configure_cert(context)
    return context, root
