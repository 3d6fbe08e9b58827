"""Middleware that reports every act asked for: who, what, and the outcome."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from floe_monitor.domain.events import Acted
from floe_monitor.web.access import READING
from floe_monitor.web.listener_identity import STATE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from floe_monitor.domain.events import Publish

_ACTS = (
    ("reload", re.compile(r"/-/reload")),
    ("validate", re.compile(r"/api/v1/targets/([^/]+)/validate")),
    ("declare maintenance", re.compile(r"/api/v1/maintenance")),
    ("end maintenance", re.compile(r"/api/v1/maintenance/[^/]+/end")),
    ("announce", re.compile(r"/api/v1/announcements")),
    ("end announcement", re.compile(r"/api/v1/announcements/[^/]+/end")),
)
"""Each with its path; the target, where it has one, is its group."""
_LONGEST = 128
_REFUSED = frozenset(
    {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.CONFLICT}
)


def set_actor(scope: Scope, name: str, client: str) -> None:
    scope.setdefault(STATE, {}).update(actor=name, client=client)


def actor_of(scope: Scope) -> str:
    """Who asks, as the audit names it."""
    return str(scope.get(STATE, {}).get("actor", "anonymous"))


def set_outcome(scope: Scope, outcome: str) -> None:
    """What the act came to, where its status alone does not say it."""
    scope.setdefault(STATE, {})["outcome"] = outcome


class Audit:
    """ASGI middleware, outside whatever may refuse a request."""

    def __init__(self, app: ASGIApp, publish: Publish) -> None:
        self._app, self._publish = app, publish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        act = _act(scope)
        if act is None:
            await self._app(scope, receive, send)
            return
        state = scope.setdefault(STATE, {})
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            action, target = act
            self._publish(
                Acted(
                    time.time(),
                    action,
                    target,
                    by=state.get("actor", "anonymous"),
                    client=state.get("client") or (scope.get("client") or ("unix",))[0],
                    outcome=state.get("outcome") or _outcome(status),
                    status=status,
                )
            )


def _act(scope: Scope) -> tuple[str, str | None] | None:
    """Action and target; None for what is no act."""
    if scope["type"] != "http" or scope["method"] in READING:
        return None
    for action, path in _ACTS:
        found = path.fullmatch(scope["path"])
        if found is not None:
            return action, found[1][:_LONGEST] if path.groups else None
    return None


def _outcome(status: int) -> str:
    if status in _REFUSED:
        return "refused"
    return "done" if status < HTTPStatus.BAD_REQUEST else "failed"
