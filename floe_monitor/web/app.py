"""The application: routes, the guard around them, and every error as a problem object."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.compute.toolkit.suggestions import nearest
from floe_monitor.web.access_control import AccessMiddleware
from floe_monitor.web.admission import STREAMS, Admission
from floe_monitor.web.api import Api
from floe_monitor.web.audit import Audit
from floe_monitor.web.content_negotiation import preferred
from floe_monitor.web.event_stream import EventStreams
from floe_monitor.web.guard import SECURITY_HEADERS, Guard
from floe_monitor.web.incident_api import IncidentApi
from floe_monitor.web.incident_page import IncidentPage
from floe_monitor.web.openapi import OpenApi
from floe_monitor.web.page import StatusPage
from floe_monitor.web.path_prefix import PathPrefix
from floe_monitor.web.responses import ProblemError, problem_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.web.access_control import AccessControl
    from floe_monitor.web.change_feed import ChangeFeed
    from floe_monitor.web.health import Health
    from floe_monitor.web.interfaces import ControllerProtocol, MetricsPageProtocol


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
) -> Starlette:
    """All routes over `state`, with what is asked before one is reached, outermost first. `streams`: how many
    may listen to events at once; `past`: what is kept beyond the process, if anything is."""
    api = Api(state, metrics_page, controller, health)
    incident_api = IncidentApi(state)
    status_page = StatusPage(state, api, health, past)
    routes = [
        *api.routes(),
        *incident_api.routes(),
        *IncidentPage(state, incident_api, status_page).routes(),
        *OpenApi().routes(),
        *EventStreams(state, feed).routes(),
        *health.routes(),
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

    def answer(request: Request, status: int, detail: str, **rest: object) -> Response:
        wants = preferred(request.headers.get("accept"), ("application/problem+json", "text/html"))
        if wants == "text/html" and not request.url.path.startswith(("/api/", "/-/")):
            return status_page.problem(request, status, detail)
        return problem_response(status, detail, **rest)  # type: ignore[arg-type]

    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(PathPrefix, http=lambda: access.rules.http),
            Middleware(Audit, publish=publish),
            Middleware(Guard, http=lambda: access.rules.http),
            Middleware(AccessMiddleware, access=access, answer=answer),
            Middleware(Admission, streams=streams),
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
