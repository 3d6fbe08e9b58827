"""`GET /api/v1/events`: what changes, as server-sent events, for as long as a client listens.

A stream ends by itself after a time, so that its client is let in anew by the rules then in force, and at
once when the daemon stops. A client that does not read is cut off by its connection (`protocol`); what one
has missed is made up for by a snapshot.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, get_args

import anyio
from starlette.responses import Response
from starlette.routing import Route

from floe_monitor.domain import serialization
from floe_monitor.web.responses import ProblemError
from floe_monitor.web.single_flight import ThreadedSingleFlight
from floe_monitor.web.target_query import unknown_word

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from floe_monitor.domain.state import MonitorState
    from floe_monitor.web.change_feed import Change, ChangeFeed

EventName = Literal[
    "snapshot", "status", "summary", "incident", "maintenance", "announcement", "configuration", "probe"
]
EVENTS: tuple[EventName, ...] = get_args(EventName)
PARAMETERS = ("events", "target")
MOST_TARGETS = 100
"""Named in one request."""

PAUSE = 0.25
"""Seconds between two writes to one client: what happens meanwhile goes out together."""
HEARTBEAT = 15.0
"""Seconds of silence after which one is broken: the client learns that the line still stands."""
LIFETIME = 600.0
RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a browser asks again when the stream has ended."""
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events are asked for. `targets`: of these alone; every result of theirs is an event too."""

    events: frozenset[str]
    targets: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, items: Sequence[tuple[str, str]]) -> EventQuery:
        """`ProblemError` 400 names what is not understood and what is near it."""
        values: dict[str, list[str]] = {}
        for key, value in items:
            if key not in PARAMETERS:
                raise unknown_word("query parameter", key, PARAMETERS)
            values.setdefault(key, []).extend(filter(None, map(str.strip, value.split(","))))
        for word in values.get("events", ()):
            if word not in EVENTS:
                raise unknown_word("event", word, EVENTS)
        targets = frozenset(values.get("target", ()))
        if len(targets) > MOST_TARGETS:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"name {MOST_TARGETS} targets at most")
        events = frozenset(values.get("events", EVENTS))
        if "probe" in values.get("events", ()) and not targets:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "events=probe needs target=NAME: there are too many")
        return cls(events, targets)

    def wants(self, change: Change) -> bool:
        if change.event not in self.events:
            return False
        return not self.targets or change.target is None or change.target in self.targets


class EventStreams:
    """Of one feed."""

    def __init__(self, state: MonitorState, feed: ChangeFeed, lifetime: float = LIFETIME) -> None:
        self._state = state
        self._feed = feed
        self._lifetime = lifetime
        self._renders: ThreadedSingleFlight[bytes] = ThreadedSingleFlight()

    def routes(self) -> list[Route]:
        return [Route("/api/v1/events", self.events)]

    async def events(self, request: Request) -> Response:
        query = EventQuery.parse(request.query_params.multi_items())
        origin, _, number = request.headers.get("last-event-id", "").partition("-")
        known = origin == self._feed.origin and number.isascii() and number.isdigit() and len(number) < 20
        return _EventStream(self._written(query, int(number) if known else -1))

    async def _written(self, query: EventQuery, place: int) -> AsyncGenerator[bytes, None]:
        """`place`: the last change that the client has, -1 where it has none that is known here."""
        until = anyio.current_time() + self._lifetime
        feed = self._feed
        with feed.watching(query.targets):
            yield RETRY
            first = True
            while not feed.closed and anyio.current_time() < until:
                changes = feed.after(place) if place >= 0 else None
                if changes is None:
                    place = feed.newest
                    written = await self._snapshot(query, place)
                else:
                    place = changes[-1].number if changes else place
                    written = b"".join(
                        self._format(c.event, c.data, c.number) for c in changes if query.wants(c)
                    )
                if "summary" in query.events and (
                    first or changes is None or any(_counts(c) for c in changes)
                ):
                    written += await self._summary(place)
                first = False
                for begin in range(0, len(written), _CHUNK):
                    yield written[begin : begin + _CHUNK]
                await feed.pause(PAUSE)
                await feed.wait(place, HEARTBEAT)
                if feed.newest == place and not feed.closed:
                    yield b"event: heartbeat\ndata: {}\n\n"

    async def _snapshot(self, query: EventQuery, place: int) -> bytes:
        if "snapshot" not in query.events:
            return b""

        def render() -> bytes:
            targets = {
                name: snapshot.status.word
                for name, snapshot in tuple(self._state.targets.items())
                if not query.targets or name in query.targets
            }
            return serialization.encode({"targets": targets})

        data = await self._renders.run_blocking(("snapshot", query.targets), render)
        return self._format("snapshot", data, place)

    async def _summary(self, place: int) -> bytes:
        def render() -> bytes:
            snapshots = self._state.view()
            return serialization.encode(
                {
                    "total": len(snapshots),
                    "counts": serialization.counts(snapshots),
                    "open_incidents": len(self._state.incidents),
                }
            )

        return self._format("summary", await self._renders.run_blocking("summary", render), place)

    def _format(self, event: str, data: bytes, number: int) -> bytes:
        """JSON has no line breaks, so one line is enough."""
        return f"id: {self._feed.origin}-{number}\nevent: {event}\ndata: ".encode() + data + b"\n\n"


def _counts(change: Change) -> bool:
    return change.event != "probe"


class _EventStream(Response):
    """Written until it ends, or its client has gone."""

    media_type = "text/event-stream"

    def __init__(self, written: AsyncGenerator[bytes, None]) -> None:
        self._written = written
        self.status_code = HTTPStatus.OK
        self.background = None
        # nginx would keep what is written until it has a page of it.
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self._written) as written, anyio.create_task_group() as tasks:

            async def write() -> None:
                if scope["method"] != "HEAD":
                    async for chunk in written:
                        await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                tasks.cancel_scope.cancel()

            tasks.start_soon(write)
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()
