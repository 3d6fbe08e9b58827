"""HTTP/1.1 over httptools, with a limit on everything a client can keep open.

uvicorn bounds idle keep-alive connections alone. Here a request must arrive whole within a time and a size,
an answer must be taken within a time, and where all connections are in use the longest idle one is
closed: silent clients cannot keep a health check out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. `request` bounds the arrival of a request, head and body; `answer` its departure."""

    connections: int = 256
    request: float = 10.0
    answer: float = 30.0
    keep_alive: int = 30
    head_bytes: int = 16_384
    body_bytes: int = 65_536


class Connections(ServerState):
    """All connections of one server; `idle` are those with no request under way, longest first."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits
        self.idle: dict[BoundedProtocol, None] = {}
        self._second = 0

    def tick(self) -> None:
        """Update the Date header once a second."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Bytes of a head are counted by chunk: pipelined requests may count a little high."""

    server_state: Connections

    def __init__(self, server_state: Connections, **rest: Any) -> None:
        super().__init__(server_state=server_state, **rest)
        self._limits = server_state.limits
        self._arrival: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        state = self.server_state
        if len(state.connections) > self._limits.connections and state.idle:
            oldest = next(iter(state.idle))
            del state.idle[oldest]
            state.connections.discard(oldest)
            oldest.transport.abort()
        state.idle[self] = None
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.idle.pop(self, None)
        for timer in (self._arrival, self._departure):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._arrival is None:
            self._await_request()
        while data and not self.transport.is_closing():
            room = self._limits.head_bytes - self._head_bytes if self._in_head else len(data)
            chunk, data = data[:room], data[room:]
            if self._in_head:
                self._head_bytes += len(chunk)
            super().data_received(chunk)
            if self._in_head and self._head_bytes >= self._limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._body_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self.server_state.tick()
        self.server_state.idle.pop(self, None)
        if any(
            name == b"content-length" and _number(value) > self._limits.body_bytes
            for name, value in self.headers
        ):
            # Before the route runs: a request that is refused must have no effect.
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self.transport.is_closing():
            return
        if self._body_bytes > self._limits.body_bytes:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = True
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.pipeline:
            self.server_state.idle[self] = None
        if self._departure is None:
            self._departure = self.loop.call_later(self._limits.answer, self._drop_unsent)

    def _await_request(self) -> None:
        self._arrival = self.loop.call_later(self._limits.request, self._drop)

    def _drop(self) -> None:
        self.transport.abort()

    def _drop_unsent(self) -> None:
        self._departure = None
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def _refuse(self, status: HTTPStatus) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            text = status.phrase
            self.transport.write(
                f"HTTP/1.1 {status.value} {text}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
                f"content-length: {len(text)}\r\n\r\n{text}".encode()
            )
            if cycle is not None:
                cycle.disconnected = True
        self.transport.close()


def _number(value: bytes) -> int:
    """A Content-Length; the parser has refused any that is none."""
    return int(value) if value.isdigit() else 0
