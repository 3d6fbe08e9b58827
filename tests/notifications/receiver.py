"""A receiver of webhooks and of Apprise's `json://`, over real sockets, that can be ill."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Taken:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`status` is answered; of requests that got a 2xx `taken` has all, `seen` has the others too."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    drip: bool = False
    seen: list[Taken] = field(default_factory=list)
    taken: list[Taken] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                found = Taken(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                receiver.seen.append(found)
                if receiver.drip:
                    self._drip()
                    return
                status = receiver.status
                self.send_response(status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                if 200 <= status < 300:
                    receiver.taken.append(found)  # before the other side knows
                self.end_headers()

            def _drip(self) -> None:
                """A byte of a header now and then, until the other side has gone."""
                try:
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
                    while receiver.drip:
                        self.wfile.write(b"x")
                        self.wfile.flush()
                        time.sleep(0.05)
                except OSError:
                    pass

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's own
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def keys(self) -> Counter[str]:
        return Counter(each.key for each in self.taken)

    @property
    def events(self) -> list[str]:
        return [each.document["type"] for each in self.taken]

    @property
    def titles(self) -> list[str]:
        return [each.document["title"] for each in self.taken]

    def close(self) -> None:
        self.drip = False
        self._server.shutdown()
        self._server.server_close()


class SilentServer:
    """Takes connections and never says anything."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()
