"""The routes of metrics and the JSON API."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio.to_thread
from starlette.responses import Response
from starlette.routing import Route

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.suggestions import nearest, with_hint
from floe_monitor.domain import serialization
from floe_monitor.domain.shards import assigned
from floe_monitor.web.audit import set_outcome
from floe_monitor.web.content_negotiation import accepts_openmetrics, preferred
from floe_monitor.web.gate import GateQuery, judge
from floe_monitor.web.interfaces import ProbeRefusedError
from floe_monitor.web.responses import (
    ProblemError,
    Representation,
    compress,
    conditional_response,
    json_response,
    represent,
    wants_gzip,
)
from floe_monitor.web.single_flight import SingleFlight, ThreadedSingleFlight
from floe_monitor.web.target_query import TargetQuery, render_targets

if TYPE_CHECKING:
    from starlette.requests import Request

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.web.health import Health
    from floe_monitor.web.interfaces import ControllerProtocol, MetricsPageProtocol

_JSON, _HTML = "application/json", "text/html"


class Api:
    """Metrics and the JSON API, over one state."""

    def __init__(
        self,
        state: MonitorState,
        metrics_page: MetricsPageProtocol,
        controller: ControllerProtocol,
        health: Health,
    ) -> None:
        self._state = state
        self._metrics_page = metrics_page
        self._controller = controller
        self._health = health
        self._scrapes: ThreadedSingleFlight[tuple[bytes | bytearray, bool, str]] = ThreadedSingleFlight()
        self._lists: ThreadedSingleFlight[Representation] = ThreadedSingleFlight()
        self._validations: SingleFlight[ProbeResult] = SingleFlight()

    def routes(self) -> list[Route]:
        return [
            Route("/metrics", self.metrics),
            Route("/api/v1/status", self.status),
            Route("/api/v1/targets", self.targets),
            Route("/api/v1/targets/{name}", self.target),
            Route("/api/v1/gate", self.gate),
            Route("/api/v1/targets/{name}/validate", self.validate, methods=["POST"]),
            Route("/-/reload", self.reload, methods=["POST"]),
        ]

    def snapshot(self, name: str) -> TargetSnapshot:
        """`ProblemError` 404 names the nearest target there is."""
        found = self._state.targets.get(name)
        if found is not None:
            return found
        near = nearest(name, tuple(self._state.targets))
        problem = f"no target {name[:128]!r}"
        shard = self._state.shard
        if shard is not None and not shard.watches(name):
            others = ", ".join(map(str, assigned(name, shard.count, shard.replicas)))
            problem += f" on this {shard}: one of that name would be on {others}"
            raise ProblemError(HTTPStatus.NOT_FOUND, problem, nearest=None)
        raise ProblemError(HTTPStatus.NOT_FOUND, with_hint(problem, near), nearest=near)

    async def metrics(self, request: Request) -> Response:
        openmetrics = accepts_openmetrics(request.headers.get("accept"))
        gzip_accepted = wants_gzip(request)

        def render() -> tuple[bytes | bytearray, bool, str]:
            body, content_type = self._metrics_page.render(openmetrics=openmetrics)
            return (*compress(body, gzip_accepted=gzip_accepted), content_type)

        body, gzipped, content_type = await self._scrapes.run_blocking((openmetrics, gzip_accepted), render)
        headers = {
            "cache-control": "no-store",
            "vary": "accept, accept-encoding",
            "content-type": content_type,
        }
        if gzipped:
            headers["content-encoding"] = "gzip"
        return Response(memoryview(body), headers=headers)

    async def status(self, _request: Request) -> Response:
        return json_response(serialization.status(self._state, self._health.live, self._health.ready))

    async def targets(self, request: Request) -> Response:
        query = TargetQuery.parse(request.query_params.multi_items())
        gzip_accepted = wants_gzip(request)

        def render() -> Representation:
            return represent(render_targets(self._state.view(), query), gzip_accepted=gzip_accepted)

        found = await self._lists.run_blocking((query, gzip_accepted), render)
        return conditional_response(request, found, _JSON)

    async def target(self, request: Request) -> Response:
        snapshot = self.snapshot(request.path_params["name"])
        gzip_accepted = wants_gzip(request)

        def render() -> Representation:
            body = serialization.encode(serialization.target_detail(snapshot))
            return represent(body, gzip_accepted=gzip_accepted)

        # A long history is a megabyte of JSON, which takes a thread.
        found = await anyio.to_thread.run_sync(render)
        return conditional_response(request, found, _JSON)

    async def gate(self, request: Request) -> Response:
        query = GateQuery.parse(request.query_params.multi_items())
        named = [self.snapshot(name) for name in query.names] or list(self._state.targets.values())
        status, body = await anyio.to_thread.run_sync(judge, named, query)  # of thousands it takes time
        return json_response(body, status)

    async def validate(self, request: Request) -> Response:
        """Requests for one target that arrive while it is probed share the probe."""
        name = self.snapshot(request.path_params["name"]).target.name
        try:
            result = await self._validations.run(name, lambda: self._controller.validate(name))
        except ProbeRefusedError as error:
            raise ProblemError(HTTPStatus.CONFLICT, str(error)) from None
        except MonitorResourceError as error:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
        except KeyError:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, f"target {name!r} was removed by a reload", nearest=None
            ) from None
        set_outcome(request.scope, result.status.value)
        if preferred(request.headers.get("accept"), (_JSON, _HTML)) == _HTML:
            # The status page's button, in a browser without scripts.
            back = f"../../../../targets/{quote(name)}"
            return Response(None, HTTPStatus.SEE_OTHER, {"location": back, "cache-control": "no-store"})
        return json_response(serialization.probe(result))

    async def reload(self, request: Request) -> Response:
        outcome = await self._controller.reload()
        set_outcome(request.scope, "configuration refused" if outcome.problems else "configuration loaded")
        if outcome.problems:
            raise ProblemError(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                "the new configuration was refused; the former stays in force",
                problems=list(outcome.problems),
            )
        return json_response(serialization.reloaded(outcome))
