"""A receiver of webhooks and of Apprise's `json://`, over real sockets, that can be ill."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from conformance.loopback_server import HttpHandler, LoopbackServer

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
        self._server = _Server(self)
        self.port = self._server.port

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
        self._server.close()


class _Server(LoopbackServer):
    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(_Handler)


class _Handler(HttpHandler):
    owner: _Server

    def do_POST(self) -> None:  # noqa: N802 - a name of http.server
        receiver = self.owner.receiver
        headers = {name.lower(): value for name, value in self.headers.items()}
        found = Taken(self.path, headers, self.body())
        receiver.seen.append(found)
        if receiver.drip:
            self._drip(receiver)
            return
        if 200 <= receiver.status < 300:
            receiver.taken.append(found)  # before the other side knows
        self.answer(receiver.status, b"", headers=receiver.headers)

    def _drip(self, receiver: Receiver) -> None:
        """A byte of a header now and then, until the other side has gone."""
        self.close_connection = True
        try:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while receiver.drip:
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            pass


class SilentServer:
    """Takes connections and never says anything."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()
