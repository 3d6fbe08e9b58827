"""The status pages: HTML that works without scripts; a small script keeps it current."""

from __future__ import annotations

import hashlib
import re
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from floe_monitor.web import favicon, fleet, status_bar, target_view, verdict
from floe_monitor.web.rendered_rows import RenderedRows
from floe_monitor.web.responses import ProblemError, conditional_response, etag_of, is_known, represent
from floe_monitor.web.single_flight import ThreadedSingleFlight
from floe_monitor.web.status_summary import summarize
from floe_monitor.web.templating import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping, Sequence

    from markupsafe import Markup
    from starlette.requests import Request

    from floe_monitor.domain.declarations import Announcement
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.domain.uptime import PastSource, Strip, Unit
    from floe_monitor.web.api import Api
    from floe_monitor.web.fleet import FleetPage, FleetQuery
    from floe_monitor.web.health import Health
    from floe_monitor.web.status_summary import StatusSummary

FEW_DAYS = 4 * 86_400.0
"""A past that is shorter is shown by hours, unless the request says otherwise."""

_ASSETS = Path(__file__).parent / "assets"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_AGES = re.compile(rb"(<time data-(?:ago|for)[^>]*>)[^<]*")
_NOW = re.compile(rb'<body data-now="[^"]*"')


class StatusPage:
    """`/`, `/targets/{name}` and their assets. `past`: what is kept beyond the process, if anything is."""

    def __init__(
        self,
        state: MonitorState,
        api: Api,
        health: Health,
        past: PastSource | None = None,
        trace_url: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._state = state
        self._api = api
        self._health = health
        self._past = past
        self._trace_url = trace_url
        self._templates = environment()
        self._templates.globals["announcements"] = self._announcements
        self._drawings = status_bar.Drawings()
        self._rendered = RenderedRows(self._templates)
        self._known_choices: tuple[tuple[int, int], fleet.Choices] | None = None
        self._renders: ThreadedSingleFlight[tuple[bytes, str]] = ThreadedSingleFlight()
        files = {path.name: path.read_bytes() for path in sorted(_ASSETS.iterdir())} | favicon.icons()
        self._assets = {name: represent(content) for name, content in files.items()}
        self._asset_version = hashlib.blake2b(b"".join(files.values()), digest_size=4).hexdigest()

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index),
            Route("/targets/{name}", self.target),
            Route("/assets/{file}", self.asset),
        ]

    async def index(self, request: Request) -> Response:
        query = fleet.FleetQuery.parse(request.query_params.multi_items())
        return _answer(request, *await self._renders.run(("index", query), lambda: self._index(query)))

    async def target(self, request: Request) -> Response:
        name = self._api.snapshot(request.path_params["name"]).target.name
        return _answer(request, *await self._renders.run(("target", name), lambda: self._target(name)))

    async def asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in self._assets:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"no asset {name[:128]!r}")
        return conditional_response(request, self._assets[name], _TYPES[Path(name).suffix])

    async def respond(
        self, request: Request, template: str, key: Hashable, values: Callable[[], dict[str, Any]]
    ) -> Response:
        """Another page in this look. `values` is called in the thread that renders; requests of one `key` at
        the same time share what comes of it."""
        found = await self._renders.run_blocking(key, lambda: self._render(template, **values()))
        return _answer(request, *found)

    def _announcements(self) -> Sequence[Announcement]:
        return self._state.declared.current(time.time()).announcements

    def problem(self, request: Request, status: int, detail: str) -> Response:
        root = "../" * max(0, request.url.path.count("/") - 1)
        title = HTTPStatus(status).phrase
        body, _ = self._render("problem.html", root=root, status=status, title=title, detail=detail)
        return HTMLResponse(body, status, {"cache-control": "no-store", "vary": "accept"})

    async def _index(self, query: FleetQuery) -> tuple[bytes, str]:
        """In two steps, both in a thread: which rows there are, and with what is kept of these, the page."""

        def arrange() -> tuple[StatusSummary, FleetPage]:
            summary = summarize(self._state.view())
            return summary, fleet.arrange(summary, query)

        summary, page = await self._renders.in_thread(arrange)
        unit, strips = await self._strips(query, page)
        return await self._renders.in_thread(lambda: self._fleet(query, summary, page, unit, strips))

    async def _strips(self, query: FleetQuery, page: FleetPage) -> tuple[Unit, Mapping[str, Strip]]:
        if self._past is None:
            return "hours", {}
        since = self._past.since
        unit = query.past or ("hours" if since is None or time.time() - since < FEW_DAYS else "days")
        return unit, await self._past.strips([row.target.name for row in page.rows], unit)

    def _fleet(
        self,
        query: FleetQuery,
        summary: StatusSummary,
        page: FleetPage,
        unit: Unit,
        strips: Mapping[str, Strip],
    ) -> tuple[bytes, str]:
        live = self._health.live
        return self._render(
            "index.html",
            root="",
            overall=verdict.overall(summary, live),
            changed=summary.changed,
            counts=summary.counts,
            total=summary.total,
            page=page,
            query=query,
            choices=self._choices(),
            windows=verdict.maintenances(summary.in_maintenance),
            kept=self._past is not None,
            unit=unit,
            rows=self._rows(page, strips),
            state=self._state,
            live=live,
            ready=self._health.ready,
        )

    def _rows(self, page: FleetPage, strips: Mapping[str, Strip]) -> dict[str, Markup]:
        now = time.time()
        return {
            row.target.name: self._rendered.render(row, self._drawn(row, strips), now) for row in page.rows
        }

    def _drawn(self, row: TargetSnapshot, strips: Mapping[str, Strip]) -> status_bar.Drawing:
        if self._past is None:
            return status_bar.draw_results(row, time.monotonic())
        known = strips.get(row.target.name)
        return (
            status_bar.draw_unread()
            if known is None
            else self._drawings.draw(row.target.name, known, time.time())
        )

    def _choices(self) -> fleet.Choices:
        """What targets are called changes with the configuration alone."""
        of = self._state.config.generation, len(self._state.targets)
        if self._known_choices is None or self._known_choices[0] != of:
            self._known_choices = of, fleet.choices(self._state.view())
        return self._known_choices[1]

    async def _target(self, name: str) -> tuple[bytes, str]:
        past = None if self._past is None else await self._past.target(name)
        snapshot = self._api.snapshot(name)
        return await self._renders.in_thread(
            lambda: self._render(
                "target.html",
                root="../",
                snapshot=snapshot,
                trace_url=self._trace_url(),
                view=target_view.build(snapshot, past, self._state, time.time(), kept=self._past is not None),
            )
        )

    def _render(self, name: str, **values: Any) -> tuple[bytes, str]:
        """The page, and its tag: how long ago something was is no change of it."""
        template = self._templates.get_template(name)
        html = template.render(now=time.time(), assets=self._asset_version, **values)
        body = html.encode("utf-8", "replace")
        # Each pattern begins with a text that is searched for as one; with alternatives in one pattern a page
        # of 100 kB takes ten times as long.
        return body, etag_of(_AGES.sub(rb"\1", _NOW.sub(b"", body, count=1)))


def _answer(request: Request, body: bytes, etag: str) -> Response:
    """Not to be stored, so that a browser shows no page of former times; the script keeps the tag itself."""
    headers = {"cache-control": "no-store", "vary": "accept", "etag": etag}
    if is_known(request, etag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return HTMLResponse(body, headers=headers)
