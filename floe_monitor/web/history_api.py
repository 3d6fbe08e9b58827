"""The routes of the history: results, changes of status, hours and days of a target, and incidents.

The database is asked in threads of which there are few, within a time that it holds itself to; who comes
while as many wait as there is room for is asked to come again.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
from starlette.routing import Route

from floe_monitor.compute.toolkit.suggestions import nearest, with_hint
from floe_monitor.domain.serialization import encode
from floe_monitor.domain.span import Span
from floe_monitor.settings.durations import parse_duration
from floe_monitor.web.interfaces import HistoryReadError, UnknownTargetError
from floe_monitor.web.responses import ProblemError, conditional_response, represent, wants_gzip
from floe_monitor.web.target_query import unknown_word, whole_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.web.interfaces import HistoryProtocol
    from floe_monitor.web.responses import Representation

    T = TypeVar("T")

PARAMETERS = ("since", "until", "limit")
KINDS = ("results", "changes", "hours", "days")
DEFAULT_LIMIT, MOST_ROWS = 100, 1_000
DAY = 86_400.0
SINCE = {"results": DAY, "changes": 30 * DAY, "hours": 4 * DAY, "days": 90 * DAY, "incidents": 30 * DAY}
"""How far back, in seconds, unless the request says."""
READERS, MOST_WAITING = 2, 16
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = 253_402_300_799.0
"""The last second that a moment can be written of."""
_JSON = "application/json"
_NONE_KEPT = (
    "no history is kept here: `history` has no url in the configuration, or what it needs is not installed; "
    "`/api/v1/targets/{name}` has the results in memory"
)


class HistoryReads:
    """Reads for requests, a few at a time. For the event loop's thread only."""

    def __init__(self, history: HistoryProtocol | None) -> None:
        self._history = history
        self._threads = anyio.CapacityLimiter(READERS)
        self._under_way = 0

    @property
    def kept(self) -> bool:
        return self._history is not None

    async def read(self, ask: Callable[[HistoryProtocol], T]) -> T:
        """`ask` is called in a thread. Whatever keeps it from answering becomes a `ProblemError`."""
        history = self._history
        if history is None:
            raise ProblemError(HTTPStatus.CONFLICT, _NONE_KEPT)
        if self._under_way >= MOST_WAITING:
            busy = "too many requests for the history are under way; try again in a second"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, busy)
        self._under_way += 1
        try:
            return await anyio.to_thread.run_sync(lambda: ask(history), limiter=self._threads)
        except HistoryReadError as error:
            problem = f"the history cannot be read: {error}"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, problem) from None
        finally:
            self._under_way -= 1


class HistoryApi:
    def __init__(self, reads: HistoryReads) -> None:
        self._reads = reads

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/history/incidents", self.incidents),
            Route("/api/v1/history/targets/{name}/{kind}", self.target),
        ]

    async def target(self, request: Request) -> Response:
        name, kind = request.path_params["name"], request.path_params["kind"]
        if kind not in KINDS:
            raise unknown_word("part of the history", kind, KINDS, HTTPStatus.NOT_FOUND)
        values = _values(request, PARAMETERS)
        span, limit = _span(values, SINCE[kind], time.time()), _limit(values)

        def ask(history: HistoryProtocol) -> Any:
            match kind:
                case "results":
                    return history.results(name, span, limit)
                case "changes":
                    return history.changes(name, span, limit)
            return history.periods(name, "hours" if kind == "hours" else "days", span, limit)

        try:
            return await self._answer(request, ask)
        except UnknownTargetError as error:
            near = nearest(name, tuple(error.known))
            problem = with_hint(f"nothing was kept of a target {name[:128]!r}", near)
            raise ProblemError(HTTPStatus.NOT_FOUND, problem, nearest=near) from None

    async def incidents(self, request: Request) -> Response:
        values = _values(request, (*PARAMETERS, "target"))
        span, limit = _span(values, SINCE["incidents"], time.time()), _limit(values)
        names = values.get("target", [])
        return await self._answer(request, lambda history: history.incidents(names, span, limit))

    async def _answer(self, request: Request, ask: Callable[[HistoryProtocol], Any]) -> Response:
        compressed = wants_gzip(request)

        def found(history: HistoryProtocol) -> Representation:
            return represent(encode(ask(history)), gzip_accepted=compressed)

        return conditional_response(request, await self._reads.read(found), _JSON)


async def find_kept(reads: HistoryReads, identity: str) -> Incident | None:
    """An incident that is not in memory any more; None where nothing is kept."""
    return await reads.read(lambda history: history.incident(identity)) if reads.kept else None


def _values(request: Request, known: tuple[str, ...]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, value in request.query_params.multi_items():
        if key not in known:
            raise unknown_word("query parameter", key, known)
        given = [each.strip() for each in value.split(",")]
        values.setdefault(key, []).extend(given if key in PARAMETERS else filter(None, given))
    return values


def _limit(values: dict[str, list[str]]) -> int:
    limit = whole_number("limit", values, MOST_ROWS) if "limit" in values else DEFAULT_LIMIT
    if limit < 1:
        problem = f"limit must be a whole number from 1 to {MOST_ROWS}, not 0"
        raise ProblemError(HTTPStatus.BAD_REQUEST, problem)
    return limit


def _span(values: dict[str, list[str]], back: float, now: float) -> Span:
    """An empty one where it begins after its end."""
    until = _moment("until", values, now) if "until" in values else now
    since = _moment("since", values, now) if "since" in values else max(0.0, until - back)
    return Span(min(since, until), until)


def _moment(key: str, values: dict[str, list[str]], now: float) -> float:
    """A duration back from now, or a moment of RFC 3339. A `+` that was not encoded has become a space."""
    text = values[key][-1]
    with suppress(ValueError):
        if text[-1:].isalpha():  # a number alone says not of what
            return max(0.0, now - parse_duration(text))
    try:
        found = datetime.fromisoformat(text.upper().replace(" ", "+"))
        return min(max(0.0, (found - _EPOCH).total_seconds()), _LATEST)
    except (ValueError, TypeError):  # TypeError: without a time zone
        problem = f"{key} is a duration back from now (24h) or a moment (2026-11-26T10:00:00Z)"
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{problem}, not {text[:64]!r}") from None
