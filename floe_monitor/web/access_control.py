"""Middleware that lets a request in or not: how often its client may ask, who asks, and whether they may.

Credentials are looked at only where the request wants one: a scraper that sends some to an open `/metrics`
goes on being answered, whatever they are.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import anyio
from starlette.datastructures import Headers
from starlette.requests import Request

from floe_monitor.compute.errors import MonitorResourceError, resource_error_in
from floe_monitor.web.access import HEALTH_ROUTES, AccessRules, Client, Identity
from floe_monitor.web.audit import set_actor
from floe_monitor.web.authentication import BusyError, RefusedError, parse_basic
from floe_monitor.web.listener_identity import listener_of
from floe_monitor.web.rate_limit import RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

    from floe_monitor.domain.state import Refusal as Reason
    from floe_monitor.settings.http_models import HttpSettings, RateLimitSettings
    from floe_monitor.settings.http_models import Scope as AccessScope
    from floe_monitor.web.authentication import Authenticator

    Answer = Callable[..., Response]
    """`answer(request, status, detail)`: for a browser a page, for others a problem object."""

log = logging.getLogger("floe_monitor.access")

_OPENED_BY = {
    "read": "the page and the API want a credential with the scope read, or http.public_read",
    "metrics": "with http.metrics_auth, /metrics wants a credential with the scope metrics",
    "act": "what acts wants a credential with the scope act where others than this machine can ask",
}
_REASONS: dict[HTTPStatus, Reason] = {
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit",
    HTTPStatus.UNAUTHORIZED: "unauthenticated",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.SERVICE_UNAVAILABLE: "busy",
}
_HOW = "send `Authorization: Bearer TOKEN`; `floe-monitor token NAME` makes a token"
_HOW_USERS = "log in, or " + _HOW


class Refusal(NamedTuple):
    status: HTTPStatus
    detail: str
    wait: int = 0
    """Seconds after which to ask again."""
    known: bool = True
    """Whether it is known who asks; else the answer says how to prove it."""
    wrong: bool = False
    """Whether a credential was given that is not taken."""


class AccessControl:
    """The rules in force, and what is counted and remembered by them. For the event loop's thread only."""

    def __init__(self, http: HttpSettings, authenticator: Authenticator) -> None:
        self.rules = AccessRules(http)
        self._authenticator = authenticator
        self._changed = anyio.Event()
        self._count(http.rate_limit)
        authenticator.apply(http)

    def apply(self, http: HttpSettings) -> None:
        """Whoever was let in so far is judged by these at the next request."""
        former, self.rules = self.rules, AccessRules(http)
        self._authenticator.apply(http)
        if former.http.rate_limit != http.rate_limit:
            self._count(http.rate_limit)
        self._changed.set()

    def _count(self, limit: RateLimitSettings) -> None:
        self._requests = RateLimit(limit.requests, limit.burst)
        self._failures = RateLimit(limit.failures / 60, limit.failures)

    async def keep_current(self, interval: Callable[[], float]) -> None:
        """Read hashes again, at each change of the rules and every so many seconds."""
        while True:
            self._changed = anyio.Event()
            try:
                await self._authenticator.read_users()
            except (RuntimeError, MonitorResourceError) as error:  # the next turn reads
                if resource_error_in(error) is None:
                    raise
            with anyio.move_on_after(interval()):
                await self._changed.wait()

    async def admit(self, scope: Scope) -> Identity | Refusal:
        headers, listener = Headers(scope=scope), listener_of(scope)
        client = self.rules.client((scope.get("client") or (None,))[0], headers, listener)
        set_actor(scope, "local" if client.local else "anonymous", client.address)
        wanted = self.rules.wanted(scope["method"], scope["path"])
        if not client.local and (wait := self._requests.take(client.key)):
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, "this client asks too often (http.rate_limit)", wait)
        is_open = wanted is None or wanted in self.rules.open_to(client)
        if wanted is None or (is_open and wanted != "act"):
            return Identity("anonymous", frozenset(), known=False)
        found = await self._identify(client, headers)
        if isinstance(found, Identity):
            set_actor(scope, found.name, client.address)
        if is_open:
            return Identity("local", frozenset(), known=False)
        if isinstance(found, Refusal):
            if found.wrong:
                self._failures.take(client.key)
                log.warning("refused a credential from %s: %s", client.address, found.detail)
            return found
        return self._judged(found, wanted)

    def _judged(self, found: Identity | None, wanted: AccessScope) -> Identity | Refusal:
        if found is None:
            how = _HOW_USERS if self.has_users else _HOW
            return Refusal(HTTPStatus.UNAUTHORIZED, f"{_OPENED_BY[wanted]}: {how}", known=False)
        if wanted not in found.scopes:
            has = " and ".join(sorted(found.scopes))
            return Refusal(HTTPStatus.FORBIDDEN, f"{found.name} may {has}; this wants the scope {wanted}")
        return found

    @property
    def has_users(self) -> bool:
        return bool(self.rules.http.users)

    async def _identify(self, client: Client, headers: Headers) -> Identity | Refusal | None:
        """Who asks; None where nobody says."""
        forwarded = self.rules.forwarded(client, headers)
        given = headers.getlist("authorization")
        if forwarded is not None or not given:
            return forwarded
        try:
            return await self._compared(client, given)
        except RefusedError as error:
            return Refusal(HTTPStatus.UNAUTHORIZED, str(error), known=False, wrong=True)
        except BusyError:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "too many logins are under way", 1)
        except RuntimeError as error:
            shortage = resource_error_in(error)
            if shortage is None:
                raise
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, str(shortage), 1)

    async def _compared(self, client: Client, given: list[str]) -> Identity | Refusal | None:
        scheme, _, value = given[0].strip().partition(" ")
        if len(given) > 1 or scheme.lower() not in ("bearer", "basic"):
            raise RefusedError("one header `Authorization: Bearer` or `Authorization: Basic` is understood")
        if scheme.lower() == "bearer":
            return self._authenticator.by_token(value.strip())
        user, password = parse_basic(value.strip())
        known = self._authenticator.remembered(user, password)
        if known is None and (wait := self._failures.wait(client.key)):
            return Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "too many wrong credentials (http.rate_limit.failures)", wait
            )
        return known or await self._authenticator.by_password(user, password)


class AccessMiddleware:
    """ASGI middleware, inside the guard."""

    def __init__(
        self, app: ASGIApp, access: AccessControl, answer: Answer, refused: Callable[[Reason], None]
    ) -> None:
        self._app, self._access, self._answer, self._refused = app, access, answer, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] not in HEALTH_ROUTES:
            found = await self._access.admit(scope)
            if isinstance(found, Refusal):
                self._refused(_REASONS[found.status])
                app = self._refusal(Request(scope), found)
        await app(scope, receive, send)

    def _refusal(self, request: Request, refusal: Refusal) -> Response:
        headers = {"retry-after": str(refusal.wait)} if refusal.wait else None
        response = self._answer(request, refusal.status, refusal.detail, headers=headers)
        if not refusal.known:
            # A field for each: browsers do not agree on several challenges in one.
            if self._access.has_users:
                response.headers.append("www-authenticate", 'Basic realm="floe-monitor", charset="UTF-8"')
            response.headers.append("www-authenticate", 'Bearer realm="floe-monitor"')
        return response
