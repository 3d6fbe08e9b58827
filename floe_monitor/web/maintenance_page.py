"""The page of maintenance and announcements: what there is, and forms to declare and end it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.maintenance import Maintenance
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.web.page import StatusPage

NAMED = 500
"""Targets suggested in the form, and named as being in maintenance."""


class MaintenancePage:
    """`/maintenance`, in the look of the other pages."""

    def __init__(self, state: MonitorState, pages: StatusPage) -> None:
        self._state, self._pages = state, pages

    def routes(self) -> list[Route]:
        return [Route("/maintenance", self.page)]

    async def page(self, request: Request) -> Response:
        return await self._pages.respond(request, "maintenance.html", "maintenance", self._values)

    def _values(self) -> dict[str, Any]:
        now = time.time()
        alike: dict[Maintenance, list[str]] = {}
        for snapshot in self._state.view():
            if snapshot.maintenance is not None:
                alike.setdefault(snapshot.maintenance, []).append(snapshot.target.name)
        return {
            "root": "",
            "declared": self._state.declared.current(now),
            "in_force": sorted(alike.items(), key=lambda item: item[0].until),
            "names": list(self._state.targets)[:NAMED],
            "total": len(self._state.targets),
        }
