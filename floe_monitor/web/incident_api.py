"""The routes of incidents: those that are open, and the last that have ended."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlencode

import anyio.to_thread
from starlette.routing import Route

from floe_monitor.domain import incident_serialization, serialization
from floe_monitor.web.history_api import find_kept
from floe_monitor.web.responses import ProblemError, conditional_response, represent, wants_gzip
from floe_monitor.web.target_query import unknown_word, whole_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.json_types import IncidentListJson
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.web.history_api import HistoryReads
    from floe_monitor.web.responses import Representation

PARAMETERS = ("state", "target", "limit", "offset")
STATES = ("open", "ended")
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class IncidentQuery:
    """Which of them are asked for; targets are alternatives."""

    state: Literal["open", "ended"] | None = None
    targets: frozenset[str] = frozenset()
    limit: int | None = None
    offset: int = 0

    @classmethod
    def parse(cls, items: Sequence[tuple[str, str]]) -> IncidentQuery:
        """From query parameters; `ProblemError` 400 names what is not understood and what is near it."""
        values: dict[str, list[str]] = {}
        for key, value in items:
            if key not in PARAMETERS:
                raise unknown_word("query parameter", key, PARAMETERS)
            values.setdefault(key, []).extend(filter(None, map(str.strip, value.split(","))))
        states = frozenset(values.get("state", ()))
        for word in states:
            if word not in STATES:
                raise unknown_word("state", word, STATES)
        return cls(
            state=cast("Literal['open', 'ended']", next(iter(states))) if len(states) == 1 else None,
            targets=frozenset(values.get("target", ())),
            limit=whole_number("limit", values) if values.get("limit") else None,
            offset=whole_number("offset", values) if values.get("offset") else 0,
        )

    def link(self, offset: int) -> str:
        """The same question from another row on, for an address."""
        items = [
            *([("state", self.state)] if self.state else []),
            *(("target", name) for name in sorted(self.targets)),
        ]
        return "?" + urlencode([*items, *([("offset", str(offset))] if offset else [])])

    def select(self, incidents: Sequence[Incident]) -> list[Incident]:
        """Those that match, in their order; `limit` and `offset` are not applied."""
        return [
            incident
            for incident in incidents
            if (self.state is None or incident.is_open is (self.state == "open"))
            and (not self.targets or not self.targets.isdisjoint(incident.members))
        ]


class IncidentApi:
    def __init__(self, state: MonitorState, reads: HistoryReads) -> None:
        self._state, self._reads = state, reads

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/incidents", self.incidents),
            Route("/api/v1/incidents/{id}", self.incident),
        ]

    async def incidents(self, request: Request) -> Response:
        query = IncidentQuery.parse(request.query_params.multi_items())
        gzip_accepted = wants_gzip(request)

        def render() -> Representation:
            known = self._state.incidents.view()
            selected = query.select(known)
            end = None if query.limit is None else query.offset + query.limit
            rows = [incident_serialization.incident(each) for each in selected[query.offset : end]]
            body: IncidentListJson = {
                "total": len(selected),
                "open": sum(each.is_open for each in known),
                "incidents": rows,
            }
            return represent(serialization.encode(body), gzip_accepted=gzip_accepted)

        # What the members of a large one share takes some milliseconds to find.
        found = await anyio.to_thread.run_sync(render)
        return conditional_response(request, found, _JSON)

    async def find(self, identity: str) -> Incident:
        """In memory, or in the history; `ProblemError` 404 where there is none."""
        known = self._state.incidents.find(identity) or await find_kept(self._reads, identity)
        if known is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                f"no incident {identity[:64]!r} is "
                + ("known" if self._reads.kept else "open or among the last that ended"),
                nearest=None,
            )
        return known

    async def incident(self, request: Request) -> Response:
        known = await self.find(request.path_params["id"])
        gzip_accepted = wants_gzip(request)

        def render() -> Representation:
            body = serialization.encode(incident_serialization.incident_detail(known))
            return represent(body, gzip_accepted=gzip_accepted)

        found = await anyio.to_thread.run_sync(render)
        return conditional_response(request, found, _JSON)
