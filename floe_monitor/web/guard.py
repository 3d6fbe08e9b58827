"""Middleware around every route: a page of another site may neither read nor act through a browser.

Probers, scrapers and scripts send neither Origin nor Sec-Fetch-Site and pass. A browser is recognized by
them. Against DNS rebinding, where a foreign page *is* of the same origin, only the Host header tells: it must
name an address, this machine or a host the operator listed, for any request on a loopback listener and for
every change asked for by a browser.
"""

from __future__ import annotations

import socket
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from floe_monitor.compute.toolkit.blocking_calls import is_address
from floe_monitor.web.access import READING
from floe_monitor.web.listener_identity import listener_of
from floe_monitor.web.responses import problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from floe_monitor.domain.state import Refusal as Reason
    from floe_monitor.settings.http_models import HttpSettings
    from floe_monitor.web.listener_identity import ListenerIdentity

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_RAW_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost", "host.docker.internal"})


class Guard:
    """ASGI middleware. Of `http`, called anew for each request, the names that browsers may use besides."""

    def __init__(
        self,
        app: ASGIApp,
        http: Callable[[], HttpSettings],
        refused: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        self._app, self._refused = app, refused
        self._http = http
        self._own_name = socket.gethostname().lower()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                added = [header for header in _RAW_HEADERS if header[0] not in own]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope), listener_of(scope))
        if refusal is not None:
            self._refused("origin")
        app = self._app if refusal is None else problem_response(HTTPStatus.FORBIDDEN, refusal)
        await app(scope, receive, send_guarded)

    def _refusal(self, method: str, headers: Headers, listener: ListenerIdentity) -> str | None:
        host = _host_name(headers.get("host", ""))
        # No browser reaches a Unix socket: a proxy in front of it may give any name.
        if listener.kind == "loopback" and not self._trusted(host, listener):
            return "this address answers to localhost and its own address only, not to the Host header sent"
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if method in READING or (origin is None and site is None):
            return None
        return self._refused_act(host, origin, site, headers, listener)

    def _refused_act(
        self, host: str, origin: str | None, site: str | None, headers: Headers, listener: ListenerIdentity
    ) -> str | None:
        """Of a browser: `origin` and `site` are what it says of the page that asks."""
        if site not in (None, "same-origin", "none"):
            return "a page of another site asked for this"
        if origin is not None and origin.lower() == self._http().external_origin:
            return None
        if origin is not None and site == "same-origin":
            # The browser has compared the origins itself. A proxy may give any name and port in Host.
            host = _host_name(_authority(origin)) or "null"
        elif origin is not None and _authority(origin) != headers.get("host", "").lower():
            return (
                "a page of another origin asked for this; a proxy has to pass on the browser's Host with its "
                "port (nginx: proxy_set_header Host $http_host)"
            )
        if not self._trusted(host, listener):
            return (
                "a browser may ask for changes under an address or a known host name only; "
                "add the name to http.allowed_hosts, or set http.external_url"
            )
        return None

    def _trusted(self, host: str, listener: ListenerIdentity) -> bool:
        if not host or host in _LOCAL_NAMES or host.endswith(".localhost") or is_address(host):
            return True
        http = self._http()
        named = (listener.host, self._own_name, _host_name(http.external_authority), *http.allowed_hosts)
        return host in {name.lower() for name in named if name}


def _authority(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _host_name(header: str) -> str:
    """The name of a Host header, without port and brackets."""
    if header.startswith("["):
        return header[1:].partition("]")[0].lower()
    return header.partition(":")[0].rstrip(".").lower()
