"""The application: routes, the guard around them, and every error as a problem object."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.compute.toolkit.suggestions import nearest
from floe_monitor.web.access import is_public
from floe_monitor.web.access_control import AccessMiddleware
from floe_monitor.web.admission import STREAMS, Admission
from floe_monitor.web.api import Api
from floe_monitor.web.audit import Audit
from floe_monitor.web.badge_api import BadgeApi
from floe_monitor.web.content_negotiation import preferred
from floe_monitor.web.declaration_api import DeclarationApi
from floe_monitor.web.event_stream import EventStreams
from floe_monitor.web.guard import SECURITY_HEADERS, Guard
from floe_monitor.web.history_api import HistoryApi, HistoryReads
from floe_monitor.web.incident_api import IncidentApi
from floe_monitor.web.incident_page import IncidentPage
from floe_monitor.web.maintenance_page import MaintenancePage
from floe_monitor.web.openapi import OpenApi
from floe_monitor.web.page import StatusPage
from floe_monitor.web.path_prefix import PathPrefix
from floe_monitor.web.public_page import PublicPage, public_problem
from floe_monitor.web.responses import ProblemError, problem_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.web.access_control import AccessControl
    from floe_monitor.web.change_feed import ChangeFeed
    from floe_monitor.web.health import Health
    from floe_monitor.web.interfaces import ControllerProtocol, HistoryProtocol, MetricsPageProtocol


def create_app(
    state: MonitorState,
    metrics_page: MetricsPageProtocol,
    controller: ControllerProtocol,
    *,
    health: Health,
    access: AccessControl,
    publish: Publish,
    feed: ChangeFeed,
    streams: int = STREAMS,
    past: PastSource | None = None,
    history: HistoryProtocol | None = None,
) -> Starlette:
    """All routes over `state`, with what is asked before one is reached, outermost first. `streams`: how many
    may listen to events at once; `past` and `history`: what is kept beyond the process, if anything is, for
    the pages and for the API."""
    api = Api(state, metrics_page, controller, health)
    reads = HistoryReads(history)
    incident_api = IncidentApi(state, reads)
    status_page = StatusPage(state, api, health, past, lambda: access.rules.http.trace_url)
    routes = [
        *api.routes(),
        *incident_api.routes(),
        *IncidentPage(state, incident_api, status_page).routes(),
        *HistoryApi(reads).routes(),
        *DeclarationApi(state, publish).routes(),
        *MaintenancePage(state, status_page).routes(),
        *BadgeApi(api, past).routes(),
        *OpenApi().routes(),
        *EventStreams(state, feed).routes(),
        *health.routes(),
        *PublicPage(state, status_page, lambda: access.rules.http.public_page, past).routes(),
        *status_page.routes(),
    ]
    paths = [route.path for route in routes if "{" not in route.path]

    async def on_problem(request: Request, error: Exception) -> Response:
        if not isinstance(error, ProblemError):
            raise error
        return answer(request, error.status, error.detail, extra=error.extra)

    async def on_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        path, method = request.url.path[:256], request.method[:32]
        if error.status_code == HTTPStatus.NOT_FOUND:
            near = nearest(path, paths)
            hint = f"; did you mean {near}?" if near else ""
            return answer(request, HTTPStatus.NOT_FOUND, f"nothing at {path}{hint}")
        detail = error.detail
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{path} does not take {method}"
        return answer(request, error.status_code, detail, headers=error.headers)

    async def on_runtime_error(request: Request, error: Exception) -> Response:
        """Rendering takes a thread; where there is none, that is no fault to be logged for each request."""
        shortage = resource_error_in(error)
        if shortage is None:
            raise error
        return answer(request, HTTPStatus.SERVICE_UNAVAILABLE, str(shortage))

    async def on_fault(_request: Request, _error: Exception) -> Response:
        # Starlette raises the exception again after this answer, and the server logs it.
        return problem_response(
            HTTPStatus.INTERNAL_SERVER_ERROR, "the monitor failed to answer", headers=SECURITY_HEADERS
        )

    def answer(
        request: Request,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> Response:
        wants = preferred(request.headers.get("accept"), ("application/problem+json", "text/html"))
        if is_public(request.url.path):
            return public_problem(status, headers)
        if wants == "text/html" and not request.url.path.startswith(("/api/", "/-/")):
            return status_page.problem(request, status, detail)
        return problem_response(status, detail, headers=headers, extra=extra)

    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(PathPrefix, http=lambda: access.rules.http),
            Middleware(Audit, publish=publish),
            Middleware(Guard, http=lambda: access.rules.http, refused=state.count_refusal),
            Middleware(AccessMiddleware, access=access, answer=answer, refused=state.count_refusal),
            Middleware(Admission, streams=streams, refused=state.count_refusal),
        ],
        exception_handlers={
            ProblemError: on_problem,
            HTTPException: on_http,
            RuntimeError: on_runtime_error,
            Exception: on_fault,
        },
    )
    # A redirect would answer 307 to a mistyped path where a 404 can name the nearest one.
    app.router.redirect_slashes = False
    return app
