"""The routes by which people declare one-off maintenance and announcements, and end them."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import RedirectResponse
from starlette.routing import Route

from floe_monitor.compute.toolkit.suggestions import nearest, with_hint
from floe_monitor.domain import declaration_json
from floe_monitor.domain.declarations import FARTHEST, MOST, Announcement, OneOffMaintenance
from floe_monitor.domain.events import DeclarationsChanged
from floe_monitor.domain.plurals import counted
from floe_monitor.web.audit import actor_of, set_outcome
from floe_monitor.web.declaration_request import (
    AnnouncementRequest,
    MaintenanceRequest,
    is_form,
    read_body,
)
from floe_monitor.web.responses import ProblemError, json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.declarations import Declarations
    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState


class DeclarationApi:
    """Changes `state.declared`; the scheduler sees that at its next turn, within a second."""

    def __init__(self, state: MonitorState, publish: Publish) -> None:
        self._state, self._publish = state, publish

    def routes(self) -> list[Route]:
        maintenance, announcements = "/api/v1/maintenance", "/api/v1/announcements"
        return [
            # One route for both methods: a second one would not be in the other's `Allow`.
            Route(maintenance, self.maintenance, methods=["GET", "POST"]),
            Route(f"{maintenance}/{{id}}/end", self.end_maintenance, methods=["POST"]),
            Route(announcements, self.announcements, methods=["GET", "POST"]),
            Route(f"{announcements}/{{id}}/end", self.end_announcement, methods=["POST"]),
        ]

    async def maintenance(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._begin_maintenance(request)
        now = time.time()
        known = self._state.declared.current(now).maintenance
        body: declaration_json.MaintenanceListJson = {
            "maintenance": [declaration_json.one_off(each, now) for each in known]
        }
        return json_response(body)

    async def announcements(self, request: Request) -> Response:
        if request.method == "POST":
            return await self._announce(request)
        known = self._state.declared.current(time.time()).announcements
        body: declaration_json.AnnouncementListJson = {
            "announcements": [declaration_json.announcement(each) for each in known]
        }
        return json_response(body)

    async def _begin_maintenance(self, request: Request) -> Response:
        asked = await read_body(request, MaintenanceRequest)
        now, by = time.time(), actor_of(request.scope)
        concerned = self._chosen(asked)
        begins = now if asked.begins_at is None else asked.begins_at.timestamp()
        if begins > now + FARTHEST or begins + asked.duration <= now:
            raise ProblemError(HTTPStatus.CONFLICT, "it would be over already, or begin in more than a year")
        added = OneOffMaintenance(
            id=secrets.token_hex(6),
            begins_at=begins,
            ends_at=begins + asked.duration,
            reason=_one_line(asked.reason),
            author=_one_line(asked.author) or by,
            by=by,
            declared_at=now,
            targets=None if asked.targets is None else tuple(dict.fromkeys(asked.targets)),
            labels=asked.labels,
        )
        current = self._state.declared.current(now)
        _leave_room(len(current.maintenance), "maintenance")
        self._change(current.with_maintenance(added))
        set_outcome(
            request.scope, f"maintenance {added.id} of {counted(concerned, 'target')}: {added.reason}"
        )
        return _answer(request, declaration_json.one_off(added, now), HTTPStatus.CREATED)

    async def _announce(self, request: Request) -> Response:
        asked = await read_body(request, AnnouncementRequest)
        now, by = time.time(), actor_of(request.scope)
        author = _one_line(asked.author) or by
        ends = now + asked.duration
        text = _one_line(asked.text)
        added = Announcement(secrets.token_hex(6), text, author, by, now, ends, asked.public)
        current = self._state.declared.current(now)
        _leave_room(len(current.announcements), "announcements")
        self._change(current.with_announcement(added))
        set_outcome(request.scope, f"announcement {added.id}: {added.text}")
        return _answer(request, declaration_json.announcement(added), HTTPStatus.CREATED)

    async def end_maintenance(self, request: Request) -> Response:
        now = time.time()
        current = self._state.declared.current(now)
        known = _known(current.maintenance, request, "maintenance")
        ended = self._end(current, known.id, now, request)
        left = [each for each in ended.maintenance if each.id == known.id]
        return _answer(request, declaration_json.one_off(left[0] if left else known, now))

    async def end_announcement(self, request: Request) -> Response:
        now = time.time()
        current = self._state.declared.current(now)
        known = _known(current.announcements, request, "announcement")
        self._end(current, known.id, now, request)
        return _answer(request, declaration_json.announcement(known))

    def _end(self, current: Declarations, identity: str, now: float, request: Request) -> Declarations:
        ended = current.ended(identity, now)
        self._change(ended)
        set_outcome(request.scope, f"{identity} ended")
        return ended

    def _change(self, declared: Declarations) -> None:
        self._state.declared = declared
        self._publish(DeclarationsChanged(declared))

    def _chosen(self, asked: MaintenanceRequest) -> int:
        """How many targets it concerns; `ProblemError` where that is none."""
        targets = self._state.targets
        for name in asked.targets or ():
            if name not in targets:
                near = nearest(name, tuple(targets))
                problem = with_hint(f"no target {name[:128]!r}", near)
                raise ProblemError(HTTPStatus.NOT_FOUND, problem, nearest=near)
        wanted = (asked.labels or {}).items()
        labelled = sum(wanted <= snapshot.target.labels.items() for snapshot in targets.values())
        if not labelled:
            raise ProblemError(HTTPStatus.NOT_FOUND, "no target has these labels")
        return labelled if asked.targets is None else len(set(asked.targets))


T = TypeVar("T", bound=OneOffMaintenance | Announcement)


def _known(known: tuple[T, ...], request: Request, what: str) -> T:
    identity = request.path_params["id"]
    for each in known:
        if each.id == identity:
            return each
    problem = f"no {what} {identity[:64]!r} is planned or in force"
    raise ProblemError(HTTPStatus.NOT_FOUND, problem, nearest=None)


def _leave_room(count: int, what: str) -> None:
    if count >= MOST:
        raise ProblemError(HTTPStatus.CONFLICT, f"there are {MOST} {what} already; end one first")


def _one_line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def _answer(request: Request, body: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A form's sender goes back to the page that it is on."""
    if is_form(request):
        up = "../" * (request.url.path.count("/") - 1)
        return RedirectResponse(f"{up}maintenance", HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
    return json_response(body, status)
