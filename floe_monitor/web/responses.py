"""Responses: JSON with an ETag, problems as RFC 9457 objects, gzip where it pays."""

from __future__ import annotations

import difflib
import gzip
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from floe_monitor.domain.serialization import encode
from floe_monitor.web.content_negotiation import accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.requests import Request

_WORTH_GZIP = 4_096
_NO_STORE = {"cache-control": "no-store"}
REVALIDATE = {"cache-control": "no-cache", "vary": "accept, accept-encoding"}


class ProblemError(Exception):
    """A request that cannot be served, as the client is told. `extra` joins the problem object."""

    def __init__(self, status: HTTPStatus, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra


def problem(
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    return Response(encode(body), status, {**_NO_STORE, **(headers or {})}, "application/problem+json")


def json_now(value: object, status: int = 200) -> Response:
    """An answer about this moment or of an action: never kept."""
    return Response(encode(value), status, _NO_STORE, "application/json")


def packed(body: bytes, gzipped: bool) -> tuple[bytes, str, bool]:
    """Body, ETag and whether it was compressed; blocking, for a thread where the body is large.

    Level 1: nine tenths of the gain at a tenth of the time.
    """
    shrink = gzipped and len(body) >= _WORTH_GZIP
    tag = f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    return (gzip.compress(body, 1, mtime=0) if shrink else body), tag, shrink


def tagged(request: Request, parts: tuple[bytes, str, bool], media_type: str) -> Response:
    """The packed body, or 304 where the client has it already."""
    body, tag, shrunk = parts
    headers = {**REVALIDATE, "etag": tag}
    held = request.headers.get("if-none-match", "")
    if held and (held.strip() == "*" or tag.removeprefix("W/") in held):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    if shrunk:
        headers["content-encoding"] = "gzip"
    return Response(body, headers=headers, media_type=media_type)


def wants_gzip(request: Request) -> bool:
    return accepts_gzip(request.headers.get("accept-encoding"))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, if any is like it."""
    # Comparing is quadratic in the length, and the word is a stranger's.
    found = difflib.get_close_matches(word[:128], known, n=1, cutoff=0.6)
    return found[0] if found else None
