"""`/healthz` and `/readyz`: beside everything else, and on a listener of their own where there is one."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from floe_monitor.domain import serialization
from floe_monitor.domain.liveness import Verdict, liveness, readiness
from floe_monitor.web.content_negotiation import preferred
from floe_monitor.web.guard import Guard
from floe_monitor.web.responses import json_response, problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.liveness import LivenessLimits
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.settings.http_models import HttpSettings

_TEXT, _JSON = "text/plain", "application/json"


class Health:
    """Of one state. `limits` is called anew: a reload may change them."""

    def __init__(self, state: MonitorState, limits: Callable[[], LivenessLimits]) -> None:
        self._state, self._limits = state, limits
        self._started = time.monotonic()

    def routes(self) -> list[Route]:
        return [Route("/healthz", self.healthz), Route("/readyz", self.readyz)]

    @property
    def live(self) -> Verdict:
        return liveness(self._state, time.monotonic(), self._limits(), self._started)

    @property
    def ready(self) -> Verdict:
        return readiness(self._state)

    async def healthz(self, request: Request) -> Response:
        return _response(request, self.live)

    async def readyz(self, request: Request) -> Response:
        return _response(request, self.ready)


def create_health_app(health: Health, http: Callable[[], HttpSettings]) -> Starlette:
    """These two routes, and for all else where to ask."""

    async def on_http(_request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        detail = f"{error.detail.lower()}: /healthz and /readyz alone are answered here"
        return problem_response(error.status_code, detail, headers=error.headers)

    app = Starlette(
        routes=health.routes(),
        middleware=[Middleware(Guard, http=http)],
        exception_handlers={HTTPException: on_http},
    )
    app.router.redirect_slashes = False
    return app


def _response(request: Request, verdict: Verdict) -> Response:
    code = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
    if preferred(request.headers.get("accept"), (_TEXT, _JSON)) == _JSON:
        return json_response(serialization.verdict(verdict), code)
    lines = ["ok" if verdict.ok else "failing"]
    lines += [f"- {reason}" for reason in (*verdict.reasons, *verdict.remarks)]
    return PlainTextResponse("\n".join(lines) + "\n", code, {"cache-control": "no-store"})
