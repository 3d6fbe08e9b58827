"""The routes of badges: status, uptime and latency of a target, for a wiki or a README."""

from __future__ import annotations

import time
from http import HTTPStatus
from statistics import median
from typing import TYPE_CHECKING

from starlette.routing import Route

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.web.badge import LONGEST, render_badge
from floe_monitor.web.formatters import milliseconds, percent, span
from floe_monitor.web.responses import ProblemError, conditional_response, represent
from floe_monitor.web.target_query import unknown_word

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from floe_monitor.domain.availability import Availability
    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.web.api import Api

KINDS = ("status", "uptime", "latency")
PARAMETERS = ("label",)
FRESH_SECONDS = 30
"""For which a browser or proxy may show a badge without asking again."""
SVG = "image/svg+xml"
_GOOD, _FAIR = 0.99, 0.95


class BadgeApi:
    """`past`: what is kept beyond the process, if anything is."""

    def __init__(self, api: Api, past: PastSource | None) -> None:
        self._api, self._past = api, past

    def routes(self) -> list[Route]:
        return [Route("/badges/{name}/{kind}.svg", self.badge)]

    async def badge(self, request: Request) -> Response:
        snapshot = self._api.snapshot(request.path_params["name"])
        return await badge_response(request, snapshot, snapshot.target.name, self._past)


async def badge_response(
    request: Request, snapshot: TargetSnapshot | None, name: str, past: PastSource | None
) -> Response:
    """`name`: what the target is called on it, unless the request has a label of its own. Without a snapshot
    nothing is known of it."""
    kind = request.path_params["kind"]
    if kind not in KINDS:
        raise unknown_word("badge", kind, KINDS, HTTPStatus.NOT_FOUND)
    message, colour = "unknown", "unknown"
    keep = f"max-age={FRESH_SECONDS}"
    if snapshot is not None:
        message, colour = describe(snapshot, kind, time.monotonic())
        if kind == "uptime" and past is not None:
            known = (await past.strips([snapshot.target.name], "days")).get(snapshot.target.name)
            if known is None:
                keep = "no-cache"  # it is being read: the next one has it
            elif known.uptime is not None:
                message, colour = _share(known.uptime, sum(day.watched for day in known.periods))
    label = _label(request) or (name if kind == "status" else f"{name} {kind}")
    found = represent(render_badge(label, message, colour))
    answer = conditional_response(request, found, SVG)
    answer.headers["cache-control"] = keep
    return answer


def describe(snapshot: TargetSnapshot, kind: str, now: float) -> tuple[str, str]:
    """What the badge says, and its colour; `now` by `time.monotonic`."""
    if kind == "uptime":
        return _uptime(snapshot.availability, now)
    if kind == "latency":
        return _latency(snapshot)
    word = snapshot.status.word
    return (f"{word}, in maintenance", "maintenance") if snapshot.maintenance else (word, word)


def _uptime(availability: Availability, now: float) -> tuple[str, str]:
    """Since the first result of this process: what was before is not in memory."""
    seconds = {status: availability.seconds(status, now) for status in ConnectionStatus}
    watched = sum(seconds.values())
    if watched <= 0:
        return "no result yet", "unknown"
    return _share(1 - seconds[ConnectionStatus.UNHEALTHY] / watched, watched)


def _share(share: float, watched: float) -> tuple[str, str]:
    colour = "healthy" if share >= _GOOD else "degraded" if share >= _FAIR else "unhealthy"
    return f"{percent(share)} of {span(watched)}", colour


def _latency(snapshot: TargetSnapshot) -> tuple[str, str]:
    """The median of the results in memory that were not failures."""
    known = [each.duration for each in snapshot.history if each.status is not ConnectionStatus.UNHEALTHY]
    if not known:
        return "no result yet" if snapshot.last is None else "no success yet", "unknown"
    return milliseconds(median(known)), "healthy"


def _label(request: Request) -> str:
    for key in request.query_params:
        if key not in PARAMETERS:
            raise unknown_word("query parameter", key, PARAMETERS)
    label = request.query_params.get("label", "")
    if len(label) > LONGEST:
        problem = f"label is longer than {LONGEST} characters"
        raise ProblemError(HTTPStatus.BAD_REQUEST, problem)
    return label
