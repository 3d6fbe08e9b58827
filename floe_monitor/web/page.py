"""The status page: HTML that works without scripts; a small script refreshes it."""

from __future__ import annotations

import hashlib
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jinja2
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from floe_monitor import __version__
from floe_monitor.domain import serialization
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.plurals import counted
from floe_monitor.web import status_bar
from floe_monitor.web.responses import ProblemError, conditional_response, represent
from floe_monitor.web.single_flight import ThreadedSingleFlight
from floe_monitor.web.target_query import TargetQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from starlette.requests import Request

    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.web.api import Api
    from floe_monitor.web.health import Health

ROWS = 200
"""Rows to a page: more cannot be read, and costs the browser at every refresh."""

SYMBOLS = {
    HealthStatus.UNKNOWN: "?",
    HealthStatus.HEALTHY: "✓",
    HealthStatus.DEGRADED: "!",
    HealthStatus.UNHEALTHY: "✕",
}
_WORST_FIRST = (HealthStatus.UNHEALTHY, HealthStatus.DEGRADED, HealthStatus.UNKNOWN, HealthStatus.HEALTHY)
_HERE = Path(__file__).parent
_ASSETS = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class StatusPage:
    """`/`, `/targets/{name}` and their assets."""

    def __init__(self, state: MonitorState, api: Api, health: Health) -> None:
        self._state = state
        self._api = api
        self._health = health
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "counted": counted,
            "ms": status_bar.milliseconds,
            "moment": serialization.moment,
            "json": _indented,
            "frozen": frozenset,
        }
        self._templates.globals |= {
            "announcements": lambda: state.declared.current(time.time()).announcements,
            "symbols": SYMBOLS,
            "version": __version__,
        }
        self._renders: ThreadedSingleFlight[str] = ThreadedSingleFlight()
        self._assets = {name: represent((_HERE / "assets" / name).read_bytes()) for name in _ASSETS}
        self._asset_version = hashlib.blake2b(
            b"".join(asset.body for asset in self._assets.values()), digest_size=4
        ).hexdigest()

    def routes(self) -> list[Route]:
        return [
            Route("/", self.index),
            Route("/targets/{name}", self.target),
            Route("/assets/{file}", self.asset),
        ]

    async def index(self, request: Request) -> Response:
        items = tuple(request.query_params.multi_items())
        query = TargetQuery.parse(items)
        html = await self._renders.run_blocking(("index", query), lambda: self._index(query, items))
        return _html_response(html)

    async def target(self, request: Request) -> Response:
        snapshot = self._api.snapshot(request.path_params["name"])
        html = await self._renders.run_blocking(
            ("target", snapshot.target.name),
            lambda: self._render(
                "target.html", root="../", snapshot=snapshot, status_bar=_status_bar(snapshot)
            ),
        )
        return _html_response(html)

    async def asset(self, request: Request) -> Response:
        name = request.path_params["file"]
        if name not in _ASSETS:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"no asset {name[:128]!r}")
        return conditional_response(request, self._assets[name], _ASSETS[name])

    async def respond(self, template: str, key: Hashable, values: Callable[[], dict[str, Any]]) -> Response:
        """Another page in this look. `values` is called in the thread that renders; requests of one `key` at
        the same time share what comes of it."""
        html = await self._renders.run_blocking(key, lambda: self._render(template, **values()))
        return _html_response(html)

    def problem(self, request: Request, status: int, detail: str) -> Response:
        root = "../" * max(0, request.url.path.count("/") - 1)
        title = HTTPStatus(status).phrase
        html = self._render("problem.html", root=root, status=status, title=title, detail=detail)
        return _html_response(html, status)

    def _index(self, query: TargetQuery, items: Sequence[tuple[str, str]]) -> str:
        snapshots = self._state.view()
        found = sorted(query.select(snapshots), key=lambda snapshot: _WORST_FIRST.index(snapshot.status))
        shown = found[query.offset : query.offset + min(query.limit or ROWS, ROWS)]
        return self._render(
            "index.html",
            root="",
            counts=[(status, serialization.counts(snapshots)[status.word]) for status in _WORST_FIRST],
            total=len(snapshots),
            rows=shown,
            found=len(found),
            offset=query.offset,
            query=query,
            earlier=_link(items, max(0, query.offset - ROWS)) if query.offset else None,
            later=_link(items, query.offset + len(shown)) if query.offset + len(shown) < len(found) else None,
            state=self._state,
            live=self._health.live,
            ready=self._health.ready,
        )

    def _render(self, name: str, **values: Any) -> str:
        now = time.time()
        return self._templates.get_template(name).render(
            now=now,
            ago=lambda at: status_bar.ago(at, now),
            assets=self._asset_version,
            redacted_config=_configuration,
            **values,
        )


def _html_response(html: str, status: int = 200) -> Response:
    body = html.encode("utf-8", "replace")
    return HTMLResponse(body, status, {"cache-control": "no-store", "vary": "accept"})


def _status_bar(snapshot: TargetSnapshot) -> list[status_bar.Bar]:
    return status_bar.bars(snapshot.history, min(20, max(len(snapshot.history), 20)))


def _configuration(snapshot: TargetSnapshot) -> Any:
    return serialization.target_detail(snapshot)["configuration"]


def _indented(value: object) -> str:
    import json  # noqa: PLC0415 - one page's need

    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _link(items: Sequence[tuple[str, str]], offset: int) -> str:
    kept = [(key, value) for key, value in items if key != "offset" and value]
    return "?" + urlencode([*kept, ("offset", str(offset))] if offset else kept)
