"""Middleware that bounds how many requests are under way, so that no kind of them keeps another out.

Health routes are always let in. Requests that only read are answered at once as a rule; actions (validate,
reload) wait for something outside, so they have a share of their own, and requests for the same action a part
of it: those for a target that hangs leave room for the others. Streams of events last for as long as somebody
looks: a share of their own. Beyond its share a request is refused at once.
"""

from __future__ import annotations

from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING

from floe_monitor.web.access import HEALTH_ROUTES, READING
from floe_monitor.web.responses import problem_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

    from floe_monitor.domain.state import Refusal

READS, ACTIONS, SAME_ACTION, STREAMS = 64, 96, 48, 64
"""Requests under way. Together they are fewer than the connections a server keeps, so that some of those
always wait for their client and can be closed for a new one."""

STREAM_ROUTE = "/api/v1/events"

_REFUSED = "too many requests of this kind are under way; try again in a second"


class Admission:
    """ASGI middleware, inside the guard. A request is under way until its route has ended: a client that
    disconnects does not free its place."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        reads: int = READS,
        actions: int = ACTIONS,
        same_action: int = SAME_ACTION,
        streams: int = STREAMS,
        refused: Callable[[Refusal], None] = lambda _: None,
    ) -> None:
        self._app, self._refused = app, refused
        self._limits = {"read": reads, "action": actions, "stream": streams}
        self._same_action = same_action
        self._under_way: Counter[str] = Counter()

    @property
    def under_way(self) -> int:
        """Requests under way, health left out."""
        return sum(self._under_way[kind] for kind in self._limits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in HEALTH_ROUTES:
            await self._app(scope, receive, send)
            return
        kind = "read" if scope["method"] in READING else "action"
        if kind == "read" and scope["path"] == STREAM_ROUTE:
            kind = "stream"
        counted = (kind, scope["path"]) if kind == "action" else (kind,)
        if self._is_full(counted):
            self._refused("busy")
            refusal = problem_response(HTTPStatus.SERVICE_UNAVAILABLE, _REFUSED, headers={"retry-after": "1"})
            await refusal(scope, receive, send)
            return
        self._under_way.update(counted)
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way.subtract(counted)
            for each in counted:
                if not self._under_way[each]:
                    del self._under_way[each]

    def _is_full(self, counted: tuple[str, ...]) -> bool:
        return any(self._under_way[each] >= self._limits.get(each, self._same_action) for each in counted)
