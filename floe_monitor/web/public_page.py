"""The public page: whether chosen targets can be used, under chosen names, and nothing else of them.

What is shown is put together here, name by name: no text of a plugin, no address, label, version or time of a
probe gets there. It is for everybody, because the configuration says so.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse
from starlette.routing import Route

from floe_monitor.domain.health import HealthStatus
from floe_monitor.web.badge_api import badge_response
from floe_monitor.web.responses import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.settings.http_models import PublicPageSettings
    from floe_monitor.web.page import StatusPage

FRESH_SECONDS = 10
"""For which a browser or proxy may show it without asking again."""
_WORDS = {
    HealthStatus.HEALTHY: "can be used",
    HealthStatus.DEGRADED: "can be used, with limits",
    HealthStatus.UNHEALTHY: "cannot be used",
    HealthStatus.UNKNOWN: "not known",
}


@dataclass(frozen=True, slots=True)
class PublicRow:
    """`since` and `until` (of maintenance) in Unix time; 0 where there is none."""

    name: str
    status: HealthStatus
    words: str
    since: float
    until: float


class PublicPage:
    """`/public`, and badges below it. `settings` is called anew for each request: a reload changes them."""

    def __init__(
        self,
        state: MonitorState,
        pages: StatusPage,
        settings: Callable[[], PublicPageSettings | None],
        past: PastSource | None,
    ) -> None:
        self._state, self._pages, self._settings, self._past = state, pages, settings, past

    def routes(self) -> list[Route]:
        return [
            Route("/public", self.page),
            Route("/public/badges/{name}/{kind}.svg", self.badge),
        ]

    async def page(self, request: Request) -> Response:
        settings = self._page_settings()

        def values() -> dict[str, Any]:
            rows = [_row(public, self._state.targets.get(name)) for name, public in settings.targets.items()]
            worst = max((row.status for row in rows), default=HealthStatus.UNKNOWN)
            standing = self._state.declared.current(time.time()).announcements
            return {
                "root": "",
                "heading": settings.heading,
                "rows": rows,
                "worst": worst,
                "said": _sentence(rows),
                "texts": [each.text for each in standing if each.public],
            }

        key = ("public", settings.heading, tuple(settings.targets.items()))
        answer = await self._pages.respond(request, "public.html", key, values)
        answer.headers["cache-control"] = f"max-age={FRESH_SECONDS}"
        return answer

    async def badge(self, request: Request) -> Response:
        settings = self._page_settings()
        wanted = request.path_params["name"]
        found = [name for name, public in settings.targets.items() if public == wanted and settings.badges]
        if not found:
            raise ProblemError(HTTPStatus.NOT_FOUND, "there is no such badge")
        answer = await badge_response(request, self._state.targets.get(found[0]), wanted, self._past)
        # For a wiki or a README elsewhere: it says nothing that is not public.
        answer.headers["cross-origin-resource-policy"] = "cross-origin"
        return answer

    def _page_settings(self) -> PublicPageSettings:
        settings = self._settings()
        if settings is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "there is no public page")
        return settings


def public_problem(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """An error below `/public`: nothing but what it is."""
    sent = {"cache-control": "no-store", **(headers or {})}
    return PlainTextResponse(f"{HTTPStatus(status).phrase}\n", status, sent)


def _row(name: str, snapshot: TargetSnapshot | None) -> PublicRow:
    if snapshot is None:
        return PublicRow(name, HealthStatus.UNKNOWN, _WORDS[HealthStatus.UNKNOWN], 0.0, 0.0)
    until = snapshot.maintenance.until if snapshot.maintenance is not None else 0.0
    return PublicRow(name, snapshot.status, _WORDS[snapshot.status], snapshot.since, until)


def _sentence(rows: list[PublicRow]) -> str:
    down = [row for row in rows if row.status is HealthStatus.UNHEALTHY]
    limited = [row for row in rows if row.status is HealthStatus.DEGRADED]
    if len(down) == len(rows):
        return "Nothing can be used now"
    if down:
        return f"{len(down)} of {len(rows)} cannot be used now"
    if limited:
        return "Everything can be used, some of it with limits"
    if any(row.status is HealthStatus.UNKNOWN for row in rows):
        return "Not everything is known yet"
    return "Everything can be used"
