"""A stand-in for what no emulator has: BigQuery's logins, rights and dry runs, after its REST reference.

It checks bearer tokens, issues them at an OAuth token endpoint (JWT and refresh token grants), at the
metadata server's paths and by impersonation, answers dry runs from a table of rights, and passes every other
call on to an emulator if there is one. With an authority it is a forward proxy too, which answers for any
host.
"""

# ruff: noqa: N815 - the base class of HTTP handlers names the methods

from __future__ import annotations

import base64
import json
import ssl
import threading
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import trustme

LOOPBACK = "127.0.0.1"
EVERYTHING = frozenset({"jobs.create", "datasets.get", "datasets.create", "tables.create"})
_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    project: str = "analytics"
    datasets: dict[str, str] = field(default_factory=lambda: {"marts": "EU"})
    """Location by name."""
    tokens: dict[str, frozenset[str]] = field(default_factory=lambda: {"good": EVERYTHING})
    """Rights by access token."""
    accounts: dict[str, bytes] = field(default_factory=dict)
    """PEM of the public key by service account."""
    refresh_tokens: dict[str, str] = field(default_factory=lambda: {"refresh": "good"})
    """Access token by refresh token; of the client `client` with the secret `client-secret`."""
    impersonable: frozenset[str] = frozenset({"dbt@analytics.iam.gserviceaccount.com"})
    metadata: bool = False
    errors: dict[str, tuple[int, Any]] = field(default_factory=dict)
    """Answers by part of the path, instead of the true one."""
    moved: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and Location of redirections, by path."""
    silent: dict[str, int | None] = field(default_factory=dict)
    """By part of the path: bytes of the answer's body after which nothing more comes; None for no answer."""
    lifetime: int = 3599
    """Of new tokens, in seconds."""
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    """Method, path, headers (lower case) and body of every request."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A client that disconnects is no error here."""


class StandIn:
    """Listens on a free loopback port; `emulator` is the port of a server for real jobs."""

    def __init__(self, emulator: int | None = None, authority: trustme.CA | None = None) -> None:
        self.state = State()
        self.emulator = emulator
        self.authority = authority
        self.accepted = 0
        """Connections so far."""
        self.open = 0
        """Connections now."""
        self._counting = threading.Lock()
        self._server = _Server((LOOPBACK, 0), _handler(self))
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://{LOOPBACK}:{self.port}"
        threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="bigquery-standin", daemon=True
        ).start()

    def count(self, change: int) -> None:
        with self._counting:
            self.open += change
            self.accepted += max(0, change)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def new_account(email: str, token_uri: str) -> tuple[dict[str, Any], bytes]:
    """A key file's content and the public key that belongs to it."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - only where cases run
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keyfile = {
        "type": "service_account",
        "project_id": "analytics",
        "private_key_id": "0123",
        "private_key": private.decode(),
        "client_email": email,
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_uri,
    }
    return keyfile, public


class _Refusal(Exception):  # noqa: N818 - an answer, not an error
    def __init__(self, status: int, body: Any) -> None:
        super().__init__(status)
        self.status, self.body = status, body


def refusal(status: int, reason: str, message: str) -> tuple[int, Any]:
    """As BigQuery writes it."""
    error = {
        "code": status,
        "message": message,
        "errors": [{"message": message, "domain": "global", "reason": reason}],
    }
    return status, {"error": error}


def _denied(permission: str, what: str) -> _Refusal:
    message = (
        f"Access Denied: {what}: Permission bigquery.{permission} denied on {what} (or it may not exist)."
    )
    return _Refusal(*refusal(403, "accessDenied", message))


def _handler(standin: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        owner = standin

    return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: StandIn

    def log_message(self, *_: object) -> None:
        """Silent."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def do_CONNECT(self) -> None:
        if self.owner.authority is None:
            self.send_error(405)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.owner.authority.issue_cert(self.path.rpartition(":")[0]).configure_cert(context)
        self.send_response_only(200)
        self.end_headers()
        try:
            self.connection = self.request = context.wrap_socket(self.connection, server_side=True)
        except OSError:
            self.close_connection = True
            return
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        self.close_connection = False

    def setup(self) -> None:
        self.owner.count(1)
        super().setup()

    def finish(self) -> None:
        self.owner.count(-1)
        super().finish()
        self.connection.close()  # the TLS one, which the server does not know of

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        state = self.owner.state
        headers = {key.lower(): value for key, value in self.headers.items()}
        state.requests.append((self.command, self.path, headers, _decoded(headers, body)))
        try:
            instead = next((found for part, found in state.errors.items() if part in self.path), None)
            if self.path in state.moved:
                instead = state.moved[self.path][0], b""
            status, answer = instead or self._route(state, headers, body)
        except _Refusal as refused:
            status, answer = refused.status, refused.body
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        end = next((found for part, found in state.silent.items() if part in self.path), len(data))
        if end is not None:
            self._answer(status, data, end)
        if end != len(data):
            self.rfile.read(1)  # until the other side has had enough
            self.close_connection = True

    def _answer(self, status: int, data: bytes, end: int) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("metadata-flavor", "Google")
        self.send_header("content-length", str(len(data)))
        if status in {301, 302, 303, 307, 308} and self.path in self.owner.state.moved:
            self.send_header("location", self.owner.state.moved[self.path][1])
        self.end_headers()
        self.wfile.write(data[:end])

    def _route(self, state: State, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        path = urlsplit(self.path).path
        if path == "/token":
            return 200, _token(state, {key: found[0] for key, found in parse_qs(body.decode()).items()})
        if path.startswith("/computeMetadata/v1/"):
            return 200, _metadata(state, path)
        if not path.startswith(("/bigquery/v2/", "/v1/projects/-/serviceAccounts/")):
            return 404, b"<html>Not Found</html>"
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in state.tokens:
            raise _Refusal(*refusal(401, "authError", "Request had invalid authentication credentials."))
        if path.endswith(":generateAccessToken"):
            return 200, _impersonate(state, unquote(path.split("/")[-1].split(":")[0]))
        return self._bigquery(state, state.tokens[token], path, body)

    def _bigquery(self, state: State, rights: frozenset[str], path: str, body: bytes) -> tuple[int, Any]:
        parts = path.removeprefix("/bigquery/v2/projects/").split("/")
        project, call = unquote(parts[0]), parts[1:]
        if project != state.project:
            raise _Refusal(*refusal(404, "notFound", f"Not found: Project {project}"))
        if call[:1] == ["datasets"] and len(call) == 2:
            return 200, _dataset(state, rights, unquote(call[1]))
        if call[:1] in (["jobs"], ["queries"]) and self.command == "POST" and len(call) == 1:
            if "jobs.create" not in rights:
                raise _denied("jobs.create", f"Project {project}")
            content = json.loads(body)
            if content.get("configuration", {}).get("dryRun"):
                return 200, _dry_run(state, rights, content)
        return self._pass_on(body)

    def _pass_on(self, body: bytes) -> tuple[int, Any]:
        if self.owner.emulator is None:
            raise _Refusal(*refusal(501, "notImplemented", "no emulator behind this stand-in"))
        connection = HTTPConnection(LOOPBACK, self.owner.emulator, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _decoded(headers: dict[str, str], body: bytes) -> Any:
    return json.loads(body) if "json" in headers.get("content-type", "") and body else body.decode()


def _token(state: State, given: dict[str, str]) -> dict[str, Any]:
    if given.get("grant_type") == _JWT_GRANT:
        account = _issuer(state, given.get("assertion", ""))
        token = f"of-{account}"
        state.tokens.setdefault(token, EVERYTHING)
    else:
        if (given.get("client_id"), given.get("client_secret")) != ("client", "client-secret"):
            raise _Refusal(401, {"error": "invalid_client", "error_description": "Unauthorized"})
        found = state.refresh_tokens.get(given.get("refresh_token", ""))
        if found is None:
            told = "Token has been expired or revoked."
            raise _Refusal(400, {"error": "invalid_grant", "error_description": told})
        token = found
    return {"access_token": token, "expires_in": state.lifetime, "token_type": "Bearer"}


def _issuer(state: State, assertion: str) -> str:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where cases run
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding  # noqa: PLC0415

    signed, _, signature = assertion.rpartition(".")
    account = json.loads(_unpadded(signed.split(".")[1]))["iss"]
    if account not in state.accounts:
        told = "Invalid grant: account not found"
        raise _Refusal(400, {"error": "invalid_grant", "error_description": told})
    key: Any = serialization.load_pem_public_key(state.accounts[account])
    try:
        key.verify(_unpadded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        told = "Invalid JWT Signature."
        raise _Refusal(400, {"error": "invalid_grant", "error_description": told}) from None
    return str(account)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _metadata(state: State, path: str) -> dict[str, Any]:
    if not state.metadata:
        raise _Refusal(404, b"")
    if path.endswith("/token"):
        return {"access_token": "good", "expires_in": state.lifetime, "token_type": "Bearer"}
    return {"email": "node@analytics.iam.gserviceaccount.com", "aliases": ["default"], "scopes": []}


def _impersonate(state: State, account: str) -> dict[str, Any]:
    if account not in state.impersonable:
        told = "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."
        error = {"code": 403, "message": told, "status": "PERMISSION_DENIED",
                 "details": [{"reason": "IAM_PERMISSION_DENIED"}]}  # fmt: skip
        raise _Refusal(403, {"error": error})
    state.tokens.setdefault(f"as-{account}", EVERYTHING)
    return {"accessToken": f"as-{account}", "expireTime": "2099-01-01T00:00:00Z"}


def _dataset(state: State, rights: frozenset[str], name: str) -> dict[str, Any]:
    what = f"Dataset {state.project}:{name}"
    if "datasets.get" not in rights:
        raise _denied("datasets.get", what)
    if name not in state.datasets:
        raise _Refusal(*refusal(404, "notFound", f"Not found: {what}"))
    reference = {"projectId": state.project, "datasetId": name}
    return {"kind": "bigquery#dataset", "datasetReference": reference, "location": state.datasets[name]}


def _dry_run(state: State, rights: frozenset[str], job: dict[str, Any]) -> dict[str, Any]:
    statement = job["configuration"]["query"]["query"]
    location = job.get("jobReference", {}).get("location")
    name = statement.split("`")[3] if "`" in statement else ""
    if statement.startswith("CREATE TABLE"):
        what = f"Dataset {state.project}:{name}"
        if "tables.create" not in rights:
            raise _denied("tables.create", what)
        there = state.datasets.get(name)
        if there is None or (location and location.casefold() != there.casefold()):
            told = f"Not found: {what} was not found in location {location}"
            raise _Refusal(*refusal(404, "notFound", told))
    if statement.startswith("CREATE SCHEMA") and "datasets.create" not in rights:
        raise _denied("datasets.create", f"Project {state.project}")
    statistics = {"totalBytesProcessed": "0", "query": {"totalBytesBilled": "0", "cacheHit": False}}
    return {"kind": "bigquery#job", "status": {"state": "DONE"}, "statistics": statistics, **job}
