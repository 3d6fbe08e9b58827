"""A stand-in for a Databricks workspace on loopback: HTTPS, REST API, OAuth, and the driver's Thrift path.

It answers by what `State` says, in the API's published forms. As in a workspace, whatever runs a statement or
begins a session starts compute that rests; `State.started` has what was started, so that a test can show that
probes start nothing.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from conformance import databricks_thrift
from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer

if TYPE_CHECKING:
    import ssl

TOKEN = "dapi-canary-0123456789"  # noqa: S105 - of a server that lives for a minute
EXPIRED = "dapi-canary-9876543210"
CLIENT, SECRET = "6c1c2d3e-0000-4000-8000-00000000feed", "dose-canary-secret-0123"
ISSUED = "issued-canary-0123456789"
IDENTITY_TOKEN = "identity-canary-0123456789"  # noqa: S105
TENANT = "11111111-2222-3333-4444-555555555555"
WAREHOUSE, CLUSTER = "abc123def4567890", "1126-140000-abcdefgh"
WAREHOUSE_PATH, CLUSTER_PATH = f"/sql/1.0/warehouses/{WAREHOUSE}", f"sql/protocolv1/o/1234567890/{CLUSTER}"
USER = "dbt@acme.example"
_UNITY = re.compile(r"/api/2\.1/unity-catalog/(catalogs|schemas|effective-permissions)/(.+)")
_AS_CLUSTERS = (400, "INVALID_PARAMETER_VALUE")
"""How the API of clusters says that there is no such one."""
_ASLEEP = frozenset({"STOPPED", "STOPPING", "TERMINATED", "TERMINATING"})


def warehouse(state: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    return {
        "id": WAREHOUSE, "name": "transform", "state": state, "enable_serverless_compute": True,
        "warehouse_type": "PRO", "auto_stop_mins": 10, "health": {"status": "HEALTHY"}, **changes,
    }  # fmt: skip


def cluster(state: str = "RUNNING", **changes: Any) -> dict[str, Any]:
    return {
        "cluster_id": CLUSTER, "cluster_name": "shared", "state": state, "cluster_source": "UI",
        "termination_reason": {"code": "INACTIVITY", "type": "SUCCESS"}, **changes,
    }  # fmt: skip


def grant(principal: str, *privileges: str) -> dict[str, Any]:
    return {"principal": principal, "privileges": [{"privilege": each} for each in privileges]}


_ALL_WELL = (grant("transformers", "USE_CATALOG", "USE_SCHEMA", "CREATE_TABLE", "CREATE_SCHEMA"),)


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    tokens: frozenset[str] = frozenset({TOKEN, ISSUED})
    warehouses: dict[str, dict[str, Any]] = field(default_factory=lambda: {WAREHOUSE: warehouse()})
    clusters: dict[str, dict[str, Any]] = field(default_factory=lambda: {CLUSTER: cluster()})
    catalogs: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            "main": {"name": "main", "owner": "admins", "catalog_type": "MANAGED_CATALOG"}
        }
    )
    schemas: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {"main.marts": {"name": "marts", "owner": "admins"}}
    )
    grants: tuple[dict[str, Any], ...] = _ALL_WELL
    groups: tuple[str, ...] = ("transformers",)
    refused: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """Status and JSON of the answer to each request whose path contains the key."""
    status: int | None = None
    """Of every answer, in place of the true one."""
    moved: str | None = None
    """Location of a redirect that answers every request."""
    page: bool = False
    """Whether a page of a login answers every request, with 200."""
    retry_after: str | None = None
    pages: int = 1
    """Over how many pages the grants are spread, the first ones empty."""
    tells_of_itself: bool = True
    expires_in: int = 3600
    statement: str = "SUCCEEDED"
    """State in which each statement ends."""
    requests: list[str] = field(default_factory=list)
    """Method and path of every request."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each, in lower case."""
    forms: list[dict[str, str]] = field(default_factory=list)
    """Of what asked for tokens."""
    started: list[str] = field(default_factory=list)
    """What a statement or a session has started or kept running."""


class StandIn(LoopbackServer):
    """Listens on a free port, with that TLS."""

    def __init__(self, tls: ssl.SSLContext, **state: Any) -> None:
        self.state = State(**state)
        super().__init__(_Handler, tls)
        self.url = f"https://{LOOPBACK}:{self.port}"


class _Handler(HttpHandler):
    owner: StandIn

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.body())

    # ------------------------------------------------------------ answers

    def _serve(self, body: bytes) -> None:
        state = self.owner.state
        state.requests.append(f"{self.command} {self.path}")
        state.headers.append({name.lower(): value for name, value in self.headers.items()})
        if state.moved is not None:
            self.answer(302, b"", "text/html", {"Location": state.moved})
        elif state.page:
            self.answer(200, b"<html>Sign in</html>", "text/html")
        elif state.status is not None:
            self._answer_json(state.status, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "not now"})
        else:
            refused = next((found for part, found in state.refused.items() if part in self.path), None)
            self._answer_json(*refused) if refused else self._route(body)

    def _route(self, body: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/sql/"):
            self._answer_driver(path, body)
        elif path == "/aad/auth":
            where = f"https://login.invalid/{TENANT}/oauth2/authorize?client_id=x"
            self.answer(302, b"", "text/html", {"Location": where})
        elif (public := self._public(path, body)) is not None:
            self._answer_json(*public)
        elif self._refusal() is not None:
            self._answer_json(*self._denied())
        else:
            self._answer_json(*self._api(path, body))

    def _public(self, path: str, body: bytes) -> tuple[int, dict[str, Any]] | None:
        url, state = self.owner.url, self.owner.state
        if path == "/.well-known/databricks-config":
            about = {"oidc_endpoint": f"{url}/oidc", "workspace_id": "1234567890", "cloud": "AWS"}
            return (200, about) if state.tells_of_itself else (404, {"error_code": "NOT_FOUND"})
        if path == "/oidc/.well-known/oauth-authorization-server":
            return 200, {
                "token_endpoint": f"{url}/oidc/v1/token",
                "authorization_endpoint": f"{url}/oidc/v1/authorize",
            }
        if path in {"/oidc/v1/token", f"/{TENANT}/oauth2/token"}:
            return self._token({name: values[0] for name, values in parse_qs(body.decode()).items()})
        return None

    def _token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        self.owner.state.forms.append(form)
        basic = "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        known = self.headers.get("Authorization") == basic
        known = known or (form.get("client_id"), form.get("client_secret")) == (CLIENT, SECRET)
        known = known or (form.get("client_id"), form.get("subject_token")) == (CLIENT, IDENTITY_TOKEN)
        if not known:
            said = "Client authentication failed"
            return 401, {"error": "invalid_client", "error_description": said}
        lifetime = self.owner.state.expires_in
        return 200, {"access_token": ISSUED, "token_type": "Bearer", "expires_in": lifetime}

    # ------------------------------------------------------------ the API

    def _refusal(self) -> str | None:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return "Credential was not sent or was of an unsupported type for this API."
        if token == EXPIRED:
            return "Access token expired."
        return None if token in self.owner.state.tokens else "Invalid access token."

    def _denied(self) -> tuple[int, dict[str, Any]]:
        said = self._refusal() or ""
        status = 401 if said.startswith("Credential") else 403
        return status, {"error_code": str(status), "message": said}

    def _api(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        state = self.owner.state
        asked = parse_qs(urlsplit(self.path).query)
        if path == "/api/2.0/preview/scim/v2/Me":
            groups = [{"display": name, "type": "direct"} for name in state.groups]
            return 200, {"userName": USER, "groups": groups}
        if path.startswith("/api/2.0/sql/warehouses/"):
            return _found(state.warehouses, path.rsplit("/", 1)[1], "SQL warehouse {} does not exist")
        if path == "/api/2.1/clusters/get":
            return _found(state.clusters, asked["cluster_id"][0], "Cluster {} does not exist", _AS_CLUSTERS)
        if path.startswith("/api/2.0/sql/statements"):
            return self._run(json.loads(body))
        if unity := _UNITY.fullmatch(path):
            return self._unity(unity[1], unity[2], int(asked.get("page_token", ["1"])[0]))
        return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for {path}"}

    def _unity(self, kind: str, name: str, page: int) -> tuple[int, dict[str, Any]]:
        state = self.owner.state
        if kind == "effective-permissions":
            more = {} if page >= state.pages else {"next_page_token": str(page + 1)}
            return 200, {"privilege_assignments": [] if more else list(state.grants), **more}
        places = state.catalogs if kind == "catalogs" else state.schemas
        return _found(places, name, f"{kind[:-1].capitalize()} '{{}}' does not exist.")

    def _run(self, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        state = self.owner.state
        self._wake(state.warehouses.get(asked["warehouse_id"], {}))
        error = (
            {"error": {"error_code": "BAD_REQUEST", "message": "odd"}} if state.statement == "FAILED" else {}
        )
        return 200, {"statement_id": "s-1", "status": {"state": state.statement, **error}}

    def _wake(self, compute: dict[str, Any]) -> None:
        self.owner.state.started.append(str(compute.get("name") or compute.get("cluster_name")))
        if compute.get("state") in _ASLEEP:
            compute["state"] = "RUNNING"

    # ------------------------------------------------------------ the driver's path

    def _answer_driver(self, path: str, body: bytes) -> None:
        state = self.owner.state
        name = path.rsplit("/", 1)[1]
        compute = state.warehouses.get(name) or state.clusters.get(name)
        if (said := self._refusal()) is not None:
            self.answer(403, b"", "text/plain", {"x-databricks-reason-phrase": said})
        elif compute is None or compute["state"] in {"DELETED", "DELETING", "ERROR"}:
            said = f"endpoint {name} does not exist"
            self.answer(404, b"", "text/plain", {"x-thriftserver-error-message": said})
        elif compute["state"] in {"STARTING", "PENDING", "RESTARTING"}:
            self.answer(503, b"", "text/plain", {"Retry-After": "1"})
        elif compute["state"] in _ASLEEP and not _resumes(compute):
            said = f"{name} is not running"
            self.answer(400, b"", "text/plain", {"x-thriftserver-error-message": said})
        else:
            self._wake(compute)
            self.answer(200, databricks_thrift.answer(body)[1], "application/x-thrift")

    # ------------------------------------------------------------ HTTP

    def _answer_json(self, status: int, content: dict[str, Any]) -> None:
        more = {"Retry-After": self.owner.state.retry_after} if self.owner.state.retry_after else {}
        self.answer(status, json.dumps(content).encode(), "application/json", more)


def _found(
    places: dict[str, dict[str, Any]],
    name: str,
    missing: str,
    refusal: tuple[int, str] = (404, "RESOURCE_DOES_NOT_EXIST"),
) -> tuple[int, dict[str, Any]]:
    if name in places:
        return 200, places[name]
    return refusal[0], {"error_code": refusal[1], "message": missing.format(name)}


def _resumes(compute: dict[str, Any]) -> bool:
    return compute.get("auto_resume") is not False and compute.get("cluster_source", "UI") in {"UI", "API"}
