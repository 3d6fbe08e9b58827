"""Responses: JSON with an ETag, problem objects of RFC 9457, gzip from a size on."""

from __future__ import annotations

import gzip
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import Response

from floe_monitor.domain.serialization import encode
from floe_monitor.web.content_negotiation import accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_LEAST_GZIPPED = 4_096
"""Bytes."""
_NO_STORE = {"cache-control": "no-store"}
REVALIDATE = {"cache-control": "no-cache", "vary": "accept, accept-encoding"}


class ProblemError(Exception):
    """A request that cannot be served: status and detail of the response, `extra` for its problem object."""

    def __init__(self, status: HTTPStatus, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.extra = extra


class Representation(NamedTuple):
    """What a GET of a resource answers with, as sent: compressed or not."""

    body: bytes
    etag: str
    gzipped: bool


def problem_response(
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


def json_response(value: object, status: int = 200) -> Response:
    """For what holds at this moment or came of an action: caches must not store it."""
    return Response(encode(value), status, _NO_STORE, "application/json")


def etag_of(body: bytes) -> str:
    return f'W/"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether If-None-Match names it."""
    held = request.headers.get("if-none-match", "")
    return bool(held) and (held.strip() == "*" or etag.removeprefix("W/") in held)


def represent(body: bytes, *, gzip_accepted: bool = False) -> Representation:
    """Blocking: for a thread where the body may be large."""
    sent, gzipped = compress(body, gzip_accepted=gzip_accepted)
    return Representation(bytes(sent), etag_of(body), gzipped)


def compress(body: bytes | bytearray, *, gzip_accepted: bool) -> tuple[bytes | bytearray, bool]:
    """The body as sent, and whether that is compressed. Blocking, likewise."""
    if not gzip_accepted or len(body) < _LEAST_GZIPPED:
        return body, False
    # Level 1: nine tenths of the gain at a tenth of the time.
    return gzip.compress(body, 1, mtime=0), True


def conditional_response(request: Request, found: Representation, media_type: str) -> Response:
    """The representation, or 304 where If-None-Match names it."""
    headers = {**REVALIDATE, "etag": found.etag}
    if is_known(request, found.etag):
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    if found.gzipped:
        headers["content-encoding"] = "gzip"
    return Response(found.body, headers=headers, media_type=media_type)


def wants_gzip(request: Request) -> bool:
    return accepts_gzip(request.headers.get("accept-encoding"))
