"""A stand-in for what no emulator has: BigQuery's logins, rights and dry runs, after its REST reference.

It checks bearer tokens, issues them at an OAuth token endpoint (JWT and refresh token grants), at the
metadata server's paths and by impersonation, answers dry runs from a table of rights, and passes every other
call on to an emulator if there is one. With an authority it is a forward proxy too, which answers for any
host.
"""

from __future__ import annotations

import json
import ssl
import threading
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from conformance.bigquery_answers import (
    Refusal,
    State,
    dataset,
    denied,
    dry_run,
    impersonate,
    issue_token,
    metadata,
    refusal,
)
from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer

if TYPE_CHECKING:
    from datetime import datetime

    import trustme


class StandIn(LoopbackServer):
    """Listens on a free loopback port; `emulator` is the port of a server for real jobs."""

    def __init__(self, emulator: int | None = None, authority: trustme.CA | None = None) -> None:
        self.state = State()
        self.emulator = emulator
        self.authority = authority
        self.certificate_ends: datetime | None = None
        """Of the names that it answers for; None for a year from now."""
        self.accepted = 0
        """Connections so far."""
        self.open = 0
        """Connections now."""
        self._counting = threading.Lock()
        super().__init__(_Handler)
        self.url = f"http://{LOOPBACK}:{self.port}"

    def count(self, change: int) -> None:
        with self._counting:
            self.open += change
            self.accepted += max(0, change)


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


class _Handler(HttpHandler):
    owner: StandIn
    wbufsize = 0  # an answer may break off, and the client waits for the rest of it

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def do_CONNECT(self) -> None:
        if self.owner.authority is None:
            self.send_error(405)
            return
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        name, ends = self.path.rpartition(":")[0], self.owner.certificate_ends
        self.owner.authority.issue_cert(name, not_after=ends).configure_cert(context)
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
        body = self.body()
        state = self.owner.state
        headers = {key.lower(): value for key, value in self.headers.items()}
        state.requests.append((self.command, self.path, headers, _decoded(headers, body)))
        try:
            instead = next((found for part, found in state.errors.items() if part in self.path), None)
            if self.path in state.moved:
                instead = state.moved[self.path][0], b""
            status, answer = instead or self._route(state, headers, body)
        except Refusal as refused:
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
            return 200, issue_token(state, {key: found[0] for key, found in parse_qs(body.decode()).items()})
        if path.startswith("/computeMetadata/v1/"):
            return 200, metadata(state, path)
        if not path.startswith(("/bigquery/v2/", "/v1/projects/-/serviceAccounts/")):
            return 404, b"<html>Not Found</html>"
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in state.tokens:
            raise Refusal(*refusal(401, "authError", "Request had invalid authentication credentials."))
        if path.endswith(":generateAccessToken"):
            return 200, impersonate(state, unquote(path.split("/")[-1].split(":")[0]))
        return self._bigquery(state, state.tokens[token], path, body)

    def _bigquery(self, state: State, rights: frozenset[str], path: str, body: bytes) -> tuple[int, Any]:
        parts = path.removeprefix("/bigquery/v2/projects/").split("/")
        project, call = unquote(parts[0]), parts[1:]
        if project != state.project:
            raise Refusal(*refusal(404, "notFound", f"Not found: Project {project}"))
        if call[:1] == ["datasets"] and len(call) == 2:
            return 200, dataset(state, rights, unquote(call[1]))
        if call[:1] in (["jobs"], ["queries"]) and self.command == "POST" and len(call) == 1:
            if "jobs.create" not in rights:
                raise denied("jobs.create", f"Project {project}")
            content = json.loads(body)
            if content.get("configuration", {}).get("dryRun"):
                return 200, dry_run(state, rights, content)
        return self._pass_on(body)

    def _pass_on(self, body: bytes) -> tuple[int, Any]:
        if self.owner.emulator is None:
            raise Refusal(*refusal(501, "notImplemented", "no emulator behind this stand-in"))
        connection = HTTPConnection(LOOPBACK, self.owner.emulator, timeout=30)
        try:
            connection.request(self.command, self.path, body or None, {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def _decoded(headers: dict[str, str], body: bytes) -> Any:
    return json.loads(body) if "json" in headers.get("content-type", "") and body else body.decode()
