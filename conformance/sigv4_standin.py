"""A stand-in for one region's endpoint of AWS Glue, by AWS' documentation of Signature Version 4.

It is no Glue: it holds one catalog with one namespace, or what it knows it has from MiniStack behind it. What
it is for is refusing: it minds the service, the region, the day, the clock, the key, the session token and
its end, every signed header, and the right to list, and answers in the forms that AWS documents.
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer

if TYPE_CHECKING:
    import ssl

    from conformance.aws_catalogs import MiniStack

SERVICE, REGION, ACCOUNT = "glue", "us-east-1", "123456789012"
BASE = "/iceberg"
_SKEW = 300.0


@dataclass(frozen=True, slots=True)
class Key:
    secret: str
    token: str | None = None
    ends: float = float("inf")
    """Of the session, in Unix time."""
    may_list: bool = True


class RefusalError(Exception):
    """`kind` is AWS' name for it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class SigV4StandIn(LoopbackServer):
    """`keys` and `clock`, how far its clock is ahead of ours, are attributes, to be changed while it runs."""

    def __init__(self, behind: MiniStack | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.behind = behind
        self.scheme = "http" if tls is None else "https"
        self.keys = {
            "AKIDWELL": Key("well's secret"),
            "AKIDBARRED": Key("barred's secret", may_list=False),
            "ASIDWELL": Key("session's secret", token="a good token"),  # noqa: S106 - of a stand-in
            "ASIDOVER": Key("session's secret", token="an old token", ends=time.time() - 60),  # noqa: S106 - likewise
        }
        self.clock = 0.0
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(_Handler, tls)

    def options(self, **changes: Any) -> dict[str, Any]:
        found = {
            "endpoint": f"{self.scheme}://{LOOPBACK}:{self.port}{BASE}",
            "authorization_type": "sigv4",
            "sigv4_service": SERVICE,
            "sigv4_region": REGION,
        }
        return {**found, **changes}

    def secret(self, key_id: str = "AKIDWELL", **changes: Any) -> dict[str, Any]:
        key = self.keys[key_id]
        found = {"type": "s3", "name": "store", "key_id": key_id, "secret": key.secret, "region": REGION}
        return {**found, **({"session_token": key.token} if key.token else {}), **changes}

    def answer(self, request: _Handler) -> None:
        parts = urlsplit(request.path)
        self.requests.append(f"{request.command} {parts.path}")
        self.headers.append(dict(request.headers.items()))
        try:
            key = self._verified(request)
        except RefusalError as refusal:
            _send(request, 403, {"message": str(refusal)}, refusal.kind)
            return
        listing = parts.path.endswith("/namespaces")
        if listing and not key.may_list:
            message = (
                f"User: arn:aws:iam::{ACCOUNT}:user/barred is not authorized to perform: glue:GetDatabases "
                f"on resource: arn:aws:glue:{REGION}:{ACCOUNT}:catalog because no identity-based policy "
                "allows the glue:GetDatabases action"
            )
            told = {"error": {"message": message, "type": "AccessDeniedException", "code": 403}}
            _send(request, 403, told)
        elif self.behind is not None:
            _send(request, *_forwarded(request, self.behind))
        elif parts.path == f"{BASE}/v1/config":
            _send(request, 200, {"defaults": {"prefix": f"catalogs/{ACCOUNT}"}, "overrides": {}})
        elif parts.path == f"{BASE}/v1/catalogs/{ACCOUNT}/namespaces":
            _send(request, 200, {"namespaces": [["shop"]]})
        else:
            message = "Entity Not Found"
            told = {"error": {"message": message, "type": "EntityNotFoundException", "code": 404}}
            _send(request, 404, told)

    def _verified(self, request: _Handler) -> Key:
        algorithm, _, rest = request.headers.get("Authorization", "").partition(" ")
        if algorithm != "AWS4-HMAC-SHA256":
            raise RefusalError("MissingAuthenticationTokenException", "Missing Authentication Token")
        given = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        key_id, day, region, service, end = given["Credential"].split("/")
        key = self.keys.get(key_id)
        token = request.headers.get("X-Amz-Security-Token")
        if key is None or token != key.token:
            text = "The security token included in the request is invalid."
            raise RefusalError("UnrecognizedClientException", text)
        if key.ends < time.time():
            raise RefusalError(
                "ExpiredTokenException", "The security token included in the request is expired"
            )
        if (service, end) != (SERVICE, "aws4_request"):
            text = f"Credential should be scoped to correct service: '{SERVICE}'. "
            raise RefusalError("InvalidSignatureException", text)
        if region != REGION:
            raise RefusalError(
                "InvalidSignatureException",
                f"Credential should be scoped to a valid region, not '{region}'. ",
            )
        stamp = request.headers.get("X-Amz-Date", "")
        at = calendar.timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
        now = time.time() + self.clock
        if abs(now - at) > _SKEW or stamp[:8] != day:
            early = "expired" if at < now else "not yet current"
            raise RefusalError("InvalidSignatureException", f"Signature {early}: {stamp}")
        names = given["SignedHeaders"].split(";")
        if not {"host", "x-amz-date"} <= set(names) or (token and "x-amz-security-token" not in names):
            raise RefusalError("InvalidSignatureException", "a header that must be signed is not")
        if not hmac.compare_digest(
            _signature(request, key.secret, given["Credential"], names), given["Signature"]
        ):
            raise RefusalError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your "
                "AWS Secret Access Key and signing method. Consult the service documentation for details.",
            )
        return key


class _Handler(HttpHandler):
    owner: SigV4StandIn

    def do_GET(self) -> None:
        self.owner.answer(self)

    do_HEAD = do_GET


def _signature(request: _Handler, secret: str, credential: str, names: list[str]) -> str:
    """Reckoned here anew, so that a mistake of the signer's is not shared."""
    parts = urlsplit(request.path)
    lines = [request.command, quote(parts.path, safe="/~")]
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    lines.append("&".join(f"{quote(name, safe='~')}={quote(item, safe='~')}" for name, item in query))
    lines += [f"{name}:{request.headers.get(name, '').strip()}" for name in names]
    lines += ["", ";".join(names), hashlib.sha256(b"").hexdigest()]
    hashed = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    scope = credential.partition("/")[2]
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["X-Amz-Date"], scope, hashed])
    key = b"AWS4" + secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _forwarded(request: _Handler, behind: MiniStack) -> tuple[int, Any]:
    there = urllib.request.Request(
        f"http://{LOOPBACK}:{behind.port}{request.path}",
        method=request.command,
        headers={"Authorization": behind.authorization(SERVICE)},
    )
    try:
        with urllib.request.urlopen(there, timeout=5) as answer:  # noqa: S310 - loopback
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def _send(request: _Handler, status: int, told: Any, kind: str | None = None) -> None:
    body = b"" if request.command == "HEAD" else json.dumps(told).encode()
    request.answer(status, body, "application/json", {} if kind is None else {"x-amzn-ErrorType": kind})
