"""The pages of incidents: the list of them, and each with its members and what was wrong over time."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.plurals import counted
from floe_monitor.web.formatters import span
from floe_monitor.web.incident_api import IncidentQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.incidents import Incident, Member
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.web.incident_api import IncidentApi
    from floe_monitor.web.page import StatusPage

ROWS = 100
"""To a page of the list, and members to an incident's page; the API has all."""
_ENDS = {
    "recovered": "every target is healthy again",
    "removed": "no target of it is configured any more",
    "renamed": "its targets have other names now",
    "merged": "it goes on in another incident",
}


@dataclass(frozen=True, slots=True)
class IncidentView:
    """What the templates show of an incident at one moment."""

    incident: Incident
    title: str
    cause: str
    lasted: str
    end: str

    @property
    def shown(self) -> HealthStatus:
        """The status that its colour says: of one that has ended, healthy where its targets are."""
        known = self.incident
        return known.status if known.is_open or known.end != "recovered" else HealthStatus.HEALTHY


class IncidentPage:
    """`/incidents` and `/incidents/{id}`, in the look of the other pages."""

    def __init__(self, state: MonitorState, api: IncidentApi, pages: StatusPage) -> None:
        self._state, self._api, self._pages = state, api, pages

    def routes(self) -> list[Route]:
        return [Route("/incidents", self.incidents), Route("/incidents/{id}", self.incident)]

    async def incidents(self, request: Request) -> Response:
        query = IncidentQuery.parse(request.query_params.multi_items())

        def values() -> dict[str, Any]:
            known = self._state.incidents.view()
            return {"root": "", "query": query, **_listed(known, query, time.time())}

        return await self._pages.respond(request, "incidents.html", ("incidents", query), values)

    async def incident(self, request: Request) -> Response:
        known = await self._api.find(request.path_params["id"])

        def values() -> dict[str, Any]:
            members = list(known.members.values())
            return {
                "root": "../",
                "view": view_of(known, time.time()),
                "members": members[:ROWS],
                "more": max(known.members_total, len(members)) - len(members[:ROWS]),
                "configured": frozenset(
                    each.target for each in members if each.target in self._state.targets
                ),
                "shares": {each.target: _shares(each) for each in members[:ROWS]},
            }

        return await self._pages.respond(request, "incident.html", ("incident", known.id), values)


def view_of(incident: Incident, now: float) -> IncidentView:
    until = now if incident.ended_at is None else incident.ended_at
    return IncidentView(
        incident,
        title=_title(incident),
        cause="" if incident.cause is None else f"{incident.cause.kind} {incident.cause.name}",
        lasted=span(until - incident.began_at),
        end=_ENDS[incident.end] if incident.end is not None else "",
    )


def _listed(known: Sequence[Incident], query: IncidentQuery, now: float) -> dict[str, Any]:
    found = query.select(known)
    shown = found[query.offset : query.offset + min(ROWS, ROWS if query.limit is None else query.limit)]
    views = [view_of(each, now) for each in shown]
    until = query.offset + len(shown)
    return {
        "open": [view for view in views if view.incident.is_open],
        "ended": [view for view in views if not view.incident.is_open],
        "open_total": sum(each.is_open for each in known),
        "found": len(found),
        "later": query.link(until) if until < len(found) else None,
        "earlier": query.link(max(0, query.offset - ROWS)) if query.offset else None,
    }


def _title(incident: Incident) -> str:
    """What it is about, in the words by which people look for it."""
    names = list(incident.members)
    if incident.members_total == 1 and names:
        return names[0]
    targets = counted(incident.members_total, "target")
    return targets if incident.cause is None else f"{targets} by {incident.cause.kind} {incident.cause.name}"


def _shares(member: Member) -> str:
    return ", ".join(f"{each.kind} {each.name}" for each in member.resources if each.kind != "plugin")
