"""The routes: what each answers, not how it is rendered."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from floe_monitor.domain import serialization
from floe_monitor.domain.liveness import Verdict, liveness, readiness
from floe_monitor.web.content_negotiation import preferred
from floe_monitor.web.interfaces import ProbeRefusedError
from floe_monitor.web.responses import ProblemError, json_now, nearest, packed, tagged, wants_gzip
from floe_monitor.web.single_flight import Flights, ThreadedFlights
from floe_monitor.web.target_query import Query, target_list

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.liveness import LivenessLimits
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.web.interfaces import Control, Renders

_TEXT, _JSON, _HTML = "text/plain", "application/json", "text/html"


class Api:
    """Everything but the status page, over one state. `limits` is called anew: a reload may change them."""

    def __init__(
        self, state: MonitorState, page: Renders, control: Control, limits: Callable[[], LivenessLimits]
    ) -> None:
        self._state = state
        self._page = page
        self._control = control
        self._limits = limits
        self._started = time.monotonic()
        self._scrapes: ThreadedFlights[tuple[bytes, str, str]] = ThreadedFlights()
        self._lists: ThreadedFlights[tuple[bytes, str, bool]] = ThreadedFlights()
        self._validations: Flights[ProbeResult] = Flights()

    def routes(self) -> list[Route]:
        return [
            Route("/metrics", self.metrics),
            Route("/healthz", self.healthz),
            Route("/readyz", self.readyz),
            Route("/api/v1/status", self.status),
            Route("/api/v1/targets", self.targets),
            Route("/api/v1/targets/{name}", self.target),
            Route("/api/v1/targets/{name}/validate", self.validate, methods=["POST"]),
            Route("/-/reload", self.reload, methods=["POST"]),
        ]

    @property
    def live(self) -> Verdict:
        return liveness(self._state, time.monotonic(), self._limits(), self._started)

    @property
    def ready(self) -> Verdict:
        return readiness(self._state)

    def snapshot(self, name: str) -> TargetSnapshot:
        """`ProblemError` 404 names the nearest target there is."""
        found = self._state.targets.get(name)
        if found is not None:
            return found
        near = nearest(name, list(self._state.targets))
        hint = f"; did you mean {near!r}?" if near else ""
        raise ProblemError(HTTPStatus.NOT_FOUND, f"no target {name[:128]!r}{hint}", nearest=near)

    async def metrics(self, request: Request) -> Response:
        accept, gzipped = request.headers.get("accept"), wants_gzip(request)

        def render() -> tuple[bytes, str, str]:
            body, content_type = self._page.render(accept)
            body, _, shrunk = packed(body, gzipped)
            return body, content_type, "gzip" if shrunk else ""

        body, content_type, encoding = await self._scrapes.render((accept, gzipped), render)
        headers = {
            "cache-control": "no-store",
            "vary": "accept, accept-encoding",
            "content-type": content_type,
        }
        if encoding:
            headers["content-encoding"] = encoding
        return Response(body, headers=headers)

    async def healthz(self, request: Request) -> Response:
        return _health(request, self.live)

    async def readyz(self, request: Request) -> Response:
        return _health(request, self.ready)

    async def status(self, _request: Request) -> Response:
        return json_now(serialization.status(self._state, self.live, self.ready))

    async def targets(self, request: Request) -> Response:
        query = Query.parse(request.query_params.multi_items())
        gzipped = wants_gzip(request)
        parts = await self._lists.render(
            (query, gzipped), lambda: packed(target_list(self._state.view(), query), gzipped)
        )
        return tagged(request, parts, _JSON)

    async def target(self, request: Request) -> Response:
        snapshot = self.snapshot(request.path_params["name"])
        gzipped = wants_gzip(request)
        # A long history is a megabyte: not for the loop.
        parts = await anyio.to_thread.run_sync(
            lambda: packed(serialization.encode(serialization.target_detail(snapshot)), gzipped)
        )
        return tagged(request, parts, _JSON)

    async def validate(self, request: Request) -> Response:
        """Requests for one target that arrive while it is probed share the probe."""
        name = self.snapshot(request.path_params["name"]).target.name
        try:
            result = await self._validations.fly(name, lambda: self._control.validate(name))
        except ProbeRefusedError as error:
            raise ProblemError(HTTPStatus.CONFLICT, str(error)) from None
        except KeyError:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"target {name!r} was removed by a reload", nearest=None
            ) from None
        if preferred(request.headers.get("accept"), (_JSON, _HTML)) == _HTML:
            # The page's own button, in a browser without scripts.
            back = f"../../../../targets/{quote(name)}"
            return Response(None, HTTPStatus.SEE_OTHER, {"location": back, "cache-control": "no-store"})
        return json_now(serialization.probe(result))

    async def reload(self, _request: Request) -> Response:
        outcome = await self._control.reload()
        if outcome.problems:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "the new configuration was refused; the former stays in force",
                problems=list(outcome.problems),
            )
        return json_now(serialization.reloaded(outcome))


def _health(request: Request, verdict: Verdict) -> Response:
    code = HTTPStatus.OK if verdict.ok else HTTPStatus.SERVICE_UNAVAILABLE
    if preferred(request.headers.get("accept"), (_TEXT, _JSON)) == _JSON:
        return json_now(serialization.verdict(verdict), code)
    lines = ["ok"] if verdict.ok else ["failing", *(f"- {reason}" for reason in verdict.reasons)]
    return PlainTextResponse("\n".join(lines) + "\n", code, {"cache-control": "no-store"})
