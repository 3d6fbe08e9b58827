"""A stand-in for Apache Polaris, for machines without the real one and for states that it is not brought to.

It is no Polaris. It answers as Polaris 1.4.1 was seen to (`polaris_server` starts one), with its statuses,
bodies and headers; what it knows of tables it has from another catalog behind it, where one is given.
"""

from __future__ import annotations

import base64
import itertools
import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer

if TYPE_CHECKING:
    from conformance.lakehouse import Lakehouse

BASE = "/api/catalog"
REALM = "Polaris-Realm"
_MAY_NOT_LIST = (
    "Principal 'root' with activated PrincipalRoles '[blind]' and activated grants via '[blind]' is not "
    "authorized for op LIST_NAMESPACES"
)


class PolarisStandIn(LoopbackServer):
    """Settings are attributes, to be changed while it runs; what it saw is counted."""

    def __init__(self, behind: Lakehouse | None = None) -> None:
        self.behind = behind
        self.client = ("root", "s3cr3t")
        self.realm: str | None = None
        """The one that every request has to name, where any has to."""
        self.warehouses = {"floe"}
        self.content: dict[str, Any] = {"defaults": {}, "overrides": {"prefix": "floe"}}
        self.listing = "/v1/floe/namespaces"
        self.roles = {"PRINCIPAL_ROLE:ALL", "PRINCIPAL_ROLE:dbt"}
        """What a token may be for. One for others is given, and refused when it is used, as by Polaris after
        1.4.1, in which it stands for all roles that are granted."""
        self.may_list = True
        self.empty_pages = 0
        """Of the listing, before the one with all: what a principal may not see is left out of a page."""
        self.expires_in: int | None = 3600
        self.redirect_to: str | None = None
        self.tokens_issued = 0
        self.requests: list[str] = []
        self._valid: dict[str, float] = {}
        self._numbers = itertools.count(1)
        super().__init__(_Handler)

    @property
    def uri(self) -> str:
        return f"http://{LOOPBACK}:{self.port}{BASE}"

    def options(self, **changes: Any) -> dict[str, Any]:
        """The options of an attach in the platform's spelling."""
        found = {
            "catalog_uri": self.uri,
            "catalog_name": "floe",
            "oauth_server_uri": f"{self.uri}/v1/oauth/tokens",
            "credential": ":".join(self.client),
            "scope": "PRINCIPAL_ROLE:ALL",
        }
        return {key: item for key, item in {**found, **changes}.items() if item is not None}

    def issue(self, life: float, scope: str = "PRINCIPAL_ROLE:ALL") -> str:
        """A token that is good for so many seconds."""
        claims = {"sub": "root", "jti": next(self._numbers), "exp": time.time() + life, "scope": scope}
        token = ".".join(_encoded(part) for part in (b"{}", json.dumps(claims).encode(), b"signature"))
        self.tokens_issued += 1
        self._valid[token] = time.monotonic() + life if scope in self.roles else 0.0
        return token

    def revoke_all(self) -> None:
        self._valid.clear()

    def answer(self, request: _Handler, body: bytes) -> None:
        parts = urlsplit(request.path)
        self.requests.append(f"{request.command} {parts.path}")
        if self.redirect_to is not None:
            _send(request, 307, {}, {"Location": f"{self.redirect_to}{request.path}"})
            return
        if self.realm is not None and request.headers.get(REALM) != self.realm:
            _send(request, 404, _error("Missing or invalid realm", "MissingOrInvalidRealm", 404))
        elif parts.path == f"{BASE}/v1/oauth/tokens":
            self._token(request, body)
        elif not self._is_authorized(request):
            _send(request, 401, None, {"WWW-Authenticate": "Bearer"})
        elif parts.path == f"{BASE}/v1/config":
            self._config(request, parse_qs(parts.query).get("warehouse", [""])[0])
        elif parts.path == f"{BASE}{self.listing}" and not self.may_list:
            _send(request, 403, _error(_MAY_NOT_LIST, "ForbiddenException", 403))
        elif (
            parts.path == f"{BASE}{self.listing}"
            and (page := int(parse_qs(parts.query).get("pageToken", ["0"])[0])) < self.empty_pages
        ):
            _send(request, 200, {"namespaces": [], "next-page-token": str(page + 1)})
        else:
            self._catalog(request, parts.path.removeprefix(BASE))

    def _token(self, request: _Handler, body: bytes) -> None:
        form = {key: values[0] for key, values in parse_qs(body.decode()).items()}
        given = (form.get("client_id", ""), form.get("client_secret", ""))
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        if kind == "Basic":
            name, _, secret = base64.b64decode(pair).decode().partition(":")
            given = (name, secret)
        if given != self.client:
            _send(request, 401, _oauth_error("unauthorized_client", "The client is not authorized"))
        elif not form.get("scope", "").startswith("PRINCIPAL_ROLE:"):
            _send(request, 400, _oauth_error("invalid_scope", "The scope is invalid"))
        else:
            life = 3600.0 if self.expires_in is None else float(self.expires_in)
            content: dict[str, Any] = {
                "access_token": self.issue(life, form["scope"]),
                "token_type": "bearer",
                "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            }
            if self.expires_in is not None:
                content["expires_in"] = self.expires_in
            _send(request, 200, content)

    def _is_authorized(self, request: _Handler) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and self._valid.get(token, 0.0) > time.monotonic()

    def _config(self, request: _Handler, warehouse: str) -> None:
        if warehouse not in self.warehouses:
            _send(request, 404, _error(f"Unable to find warehouse {warehouse}", "NotFoundException", 404))
            return
        _send(request, 200, {**self.content, "endpoints": []})

    def _catalog(self, request: _Handler, path: str) -> None:
        if self.behind is None:
            if path == self.listing:
                _send(request, 200, {"namespaces": [["shop"]], "next-page-token": None})
            else:
                _send(request, 404, _error("Namespace does not exist", "NoSuchNamespaceException", 404))
            return
        from conformance.lakehouse import CLIENT_ID, CLIENT_SECRET  # noqa: PLC0415 - only with one behind

        there = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.behind.catalog_uri}{path}",
            method=request.command,
            headers={"Authorization": f"Bearer {self.behind.token()}"},
        )
        try:
            with urllib.request.urlopen(there, timeout=5) as answer:  # noqa: S310 - loopback
                status, content = answer.status, json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            status, content = error.code, json.loads(error.read() or b"{}")
        if (
            request.headers.get("X-Iceberg-Access-Delegation") == "vended-credentials"
            and "metadata" in content
        ):
            content["config"] = {
                **content.get("config", {}),
                "s3.access-key-id": CLIENT_ID,
                "s3.secret-access-key": CLIENT_SECRET,
                "s3.endpoint": f"http://{self.behind.store}",
                "s3.path-style-access": "true",
                "client.region": "us-east-1",
            }
        _send(request, status, content)


class _Handler(HttpHandler):
    owner: PolarisStandIn

    def do_GET(self) -> None:
        self.owner.answer(self, self.body())

    do_POST = do_HEAD = do_GET


def _error(message: str, kind: str, code: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "code": code}}


def _oauth_error(name: str, description: str) -> dict[str, Any]:
    return {"error": name, "error_description": description, "error_uri": None}


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def _send(request: _Handler, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
    body = b"" if content is None or request.command == "HEAD" else json.dumps(content).encode()
    request.answer(status, body, "application/json", headers)
