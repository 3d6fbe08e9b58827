"""Middleware for a proxy that passes requests on with the path it was asked for: `/floe/api/v1/targets`.

The prefix is the path of `http.external_url`. A proxy may as well cut it off: all links of the pages are
relative, so both come to the same.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from floe_monitor.settings.http_models import HttpSettings


class PathPrefix:
    """ASGI middleware, outermost: whatever is inside knows the monitor's own paths alone."""

    def __init__(self, app: ASGIApp, http: Callable[[], HttpSettings]) -> None:
        self._app, self._http = app, http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._http().path_prefix
        app = self._app
        if prefix and scope["type"] == "http":
            path = scope["path"]
            if path == prefix:
                # Relative links need the slash.
                app = RedirectResponse(f"{self._http().external_url}/", HTTPStatus.PERMANENT_REDIRECT)
            elif path.startswith(f"{prefix}/"):
                scope = {**scope, "path": path[len(prefix) :]}
        await app(scope, receive, send)
