"""HTTP/1.1 over httptools, with a limit on everything a client can keep open.

uvicorn bounds idle keep-alive connections alone. Here a request must arrive whole within a time and a size,
an answer must be taken within a time, and where all connections are in use the one that has waited longest
for its client is closed: silent clients cannot keep a health check out.

A connection parses its next request when the last one is answered and the client takes its answers. Until
then it reads no more, so that what a client sends faster than it reads stays in the client.
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from floe_monitor.domain import forked_child
from floe_monitor.web.sliced_writes import SlicedTransport
from floe_monitor.web.tls import READ, Handshakes

if TYPE_CHECKING:
    import asyncio

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from floe_monitor.web.descriptor_reserve import DescriptorReserve

_WRITE = 65_536
"""Bytes of answers that may wait for the client, as asyncio has it without TLS."""

_SLICE = 1_024
"""Bytes parsed at once: a parser cannot be stopped between two requests of one slice."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes. `request` bounds the arrival of a request, head and body; `answer` its departure.

    `reserve`: connections above `connections` that have sent no request yet.
    `body_bytes` bounds the content of a body, and apart from it what frames it: chunk sizes, trailer fields.
    """

    connections: int = 256
    reserve: int = 64
    request: float = 10.0
    answer: float = 30.0
    keep_alive: int = 30
    head_bytes: int = 16_384
    body_bytes: int = 65_536

    @classmethod
    def within(cls, descriptors: int) -> Limits:
        """With connections for at most a third of the descriptors that the process may open."""
        most = cls()
        return cls(
            connections=max(8, min(most.connections, descriptors // 4)),
            reserve=max(2, min(most.reserve, descriptors // 16)),
        )

    @classmethod
    def for_health(cls, descriptors: int) -> Limits:
        """Of a listener for health alone, which a kubelet and a few others ask."""
        connections = max(4, min(32, descriptors // 32))
        return cls(connections=connections, reserve=max(2, connections // 4), keep_alive=10)


class Connections(ServerState):
    """All connections of one server, and of those that wait for their client what they wait for, each longest
    first: that it takes an answer (`stalled`), for its next request (`kept`), or its first one (`fresh`)."""

    def __init__(self, limits: Limits, descriptors: DescriptorReserve) -> None:
        super().__init__()
        self.limits = limits
        self.descriptors = descriptors
        self.handshakes = Handshakes()
        self.stalled: dict[BoundedProtocol, None] = {}
        self.kept: dict[BoundedProtocol, None] = {}
        self.fresh: dict[BoundedProtocol, None] = {}
        self._second = 0

    def occupy(self, connection: BoundedProtocol) -> None:
        """The connection waits for its client no more: a request is under way, or it has ended."""
        for waiting in (self.stalled, self.kept, self.fresh):
            waiting.pop(connection, None)

    def make_room(self) -> None:
        """Where there are too many, drop the one whose end costs its client least. A new one is let send its
        first request, which a health check does at once, while there is a reserve for it."""
        excess = len(self.connections) - self.limits.connections
        classes = (
            (self.stalled, self.kept)
            if excess <= self.limits.reserve
            else (self.stalled, self.kept, self.fresh)
        )
        longest = next(itertools.chain.from_iterable(classes), None) if excess > 0 else None
        if longest is not None:
            self.occupy(longest)
            self.connections.discard(longest)
            longest.transport.abort()

    def tick(self) -> None:
        """Update the Date header once a second."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self.default_headers = [(b"date", formatdate(now, usegmt=True).encode())]


class _PacedFlow(FlowControl):
    """Reading stays paused while bytes that were read wait to be parsed."""

    def __init__(self, transport: asyncio.Transport, unparsed: bytearray) -> None:
        super().__init__(transport)
        self._unparsed = unparsed

    def resume_reading(self) -> None:
        if not self._unparsed:
            super().resume_reading()


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    server_state: Connections

    def __init__(self, server_state: Connections, **rest: Any) -> None:
        super().__init__(server_state=server_state, **rest)
        self._limits = server_state.limits
        self._arrival: asyncio.TimerHandle | None = None
        self._departure: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._unparsed = bytearray()
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._framing_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._outgoing = SlicedTransport(transport, self.loop, self._hold, self._release)
        super().connection_made(cast("asyncio.Transport", self._outgoing))
        self.flow = _PacedFlow(transport, self._unparsed)
        _hold_little(transport)
        self._descriptor: int = transport.get_extra_info("socket").fileno()
        self.server_state.handshakes.end(self)
        forked_child.close_in_child(self._descriptor)
        self.server_state.fresh[self] = None
        self.server_state.make_room()
        if not transport.is_closing():
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        forked_child.release(self._descriptor)
        self.server_state.occupy(self)
        for timer in (self._arrival, self._departure, self._stall):
            if timer is not None:
                timer.cancel()
        self._unparsed.clear()
        self._outgoing.forget()
        super().connection_lost(exc)
        # The transport closes its socket after this call.
        self.loop.call_soon(self.server_state.descriptors.restore)

    def data_received(self, data: bytes) -> None:
        self._unparsed += data
        self._parse()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks whether to keep it open
        """True where a client that sends no more is still to be sent what waits. With TLS asyncio closes the
        transport in any case, after what it was given."""
        if self.scheme == "https":
            self._outgoing.give_all()
        waits = self._outgoing.waits
        if waits:
            self._outgoing.close()
        return waits

    def pause_writing(self) -> None:
        self._outgoing.pause()

    def resume_writing(self) -> None:
        self._outgoing.resume()

    def _hold(self) -> None:
        super().pause_writing()
        self.server_state.stalled[self] = None
        # An answer without an end, a stream of events, never comes to its departure.
        self._stall = self.loop.call_later(self._limits.answer, self._drop)

    def _release(self) -> None:
        super().resume_writing()
        self.server_state.stalled.pop(self, None)
        if self._stall is not None:
            self._stall.cancel()
        # Not at once: what is refused closes the transport, which then tells of its end twice.
        self.loop.call_soon(self._parse)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._body_bytes = 0
        self._framing_bytes = 0
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailer fields come after the route has been given the headers, and are dropped.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_bytes = 0
        self.server_state.tick()
        self.server_state.occupy(self)
        if self._departure is not None and not self.transport.get_write_buffer_size():
            # The answers before were taken; this one's time begins when it is complete.
            self._departure.cancel()
            self._departure = None
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
        self._framing_bytes -= len(body)
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
        if self._answered:
            self.server_state.kept[self] = None
            self.server_state.make_room()
        if self._departure is None:
            self._departure = self.loop.call_later(self._limits.answer, self._drop_unsent)
        # Not at once: a client that pipelines is one that can be dropped, between two of its requests.
        self.loop.call_soon(self._parse)

    @property
    def _answered(self) -> bool:
        """Whether no request is under way whose head has arrived."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    @property
    def _waits(self) -> bool:
        """Whether a request must be answered, or an answer taken, before the next one is parsed."""
        return bool(self.pipeline) or self.flow.write_paused or (self._in_head and not self._answered)

    def _parse(self) -> None:
        while self._unparsed and not self._waits and not self.transport.is_closing():
            if self._arrival is None:
                self._await_request()
            chunk = self._next_slice()
            if self._in_head:
                self._head_bytes += len(chunk)
            else:
                self._framing_bytes += len(chunk)
            super().data_received(chunk)
            if self._in_head and self._head_bytes >= self._limits.head_bytes:
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            elif self._framing_bytes > self._limits.body_bytes:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        if self._unparsed:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()

    def _next_slice(self) -> bytes:
        """What to parse next: of heads, as a rule one, so that the next one can wait."""
        size = min(len(self._unparsed), _SLICE)
        if self._in_head:
            end = self._unparsed.find(b"\n\r\n", 0, size)
            size = min(size if end < 0 else end + 3, self._limits.head_bytes - self._head_bytes)
        chunk = bytes(self._unparsed[:size])
        del self._unparsed[:size]
        return chunk

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
        of_this_request = cycle is not None and cycle.scope is self.scope
        if cycle is None or not (of_this_request and cycle.response_started):
            text = status.phrase
            self.transport.write(
                f"HTTP/1.1 {status.value} {text}\r\ncontent-type: text/plain\r\nconnection: close\r\n"
                f"content-length: {len(text)}\r\n\r\n{text}".encode()
            )
            if cycle is not None:
                cycle.disconnected = True
        self.transport.close()


def _hold_little(transport: Any) -> None:
    """Have asyncio take little at once. With TLS it would keep 256 KiB of each connection that nobody has
    asked for yet, and 512 KiB that the client does not take."""
    transport.max_size = READ
    if transport.get_extra_info("sslcontext") is not None:
        transport.set_read_buffer_limits(READ)
        transport.set_write_buffer_limits(_WRITE)


def _number(value: bytes) -> int:
    """A Content-Length; the parser has refused any that is none."""
    return int(value) if value.isdigit() else 0
