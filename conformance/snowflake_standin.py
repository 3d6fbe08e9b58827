"""A stand-in for Snowflake: the driver's own HTTP interface before the account of `snowflake_answers`.

It is no Snowflake. `upstream_port` hands every statement that the account does not know to a fakesnow server.
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from conformance.loopback_server import LOOPBACK, HttpHandler, LoopbackServer
from conformance.snowflake_answers import PASSWORD, TOKEN, Account, Answers, Session, SnowflakeError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

__all__ = ["PASSWORD", "TOKEN", "Account", "StandIn"]


class StandIn(LoopbackServer):
    """Listens on a free loopback port; `tls` makes it HTTPS."""

    def __init__(
        self,
        account: Account | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        upstream_port: int | None = None,
        http_status: int | None = None,
    ) -> None:
        self.account = account or Account()
        self.answers = Answers(self.account, forwards=upstream_port is not None)
        self.upstream_port = upstream_port
        self.http_status = http_status
        """Answer every request with this status and a page, as a proxy or a wrong host would."""
        self.requests: list[str] = []
        self.logins: list[dict[str, Any]] = []
        self.sessions: dict[str, Session] = {}
        """By their tokens; ended ones are gone."""
        self.shared = 0
        """Requests that came in while their session had another under way."""
        self._in_use: Counter[str] = Counter()
        super().__init__(_Handler, tls)

    @property
    def statements(self) -> list[str]:
        return self.answers.statements

    @property
    def woken(self) -> list[str]:
        return self.answers.woken

    # ------------------------------------------------------------ sessions

    @contextmanager
    def in_use(self, token: str) -> Iterator[None]:
        self.shared += token in self.sessions and self._in_use[token] > 0
        self._in_use[token] += 1
        try:
            yield
        finally:
            self._in_use[token] -= 1

    def login(self, query: dict[str, str], data: dict[str, Any]) -> dict[str, Any]:
        self.logins.append({**query, **data})
        number = len(self.logins)
        user, session = self.answers.login(query, data)
        self.sessions[f"session-{number}"] = session
        return {
            "token": f"session-{number}",
            "masterToken": f"master-{number}",
            "validityInSeconds": 3600,
            "masterValidityInSeconds": self.account.master_seconds,
            "sessionId": number,
            "serverVersion": "9.0.0",
            "displayUserName": user,
            "parameters": [
                {"name": "AUTOCOMMIT", "value": True},
                {"name": "TIMEZONE", "value": "UTC"},
                {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
                {"name": "CLIENT_SESSION_KEEP_ALIVE", "value": self._keeps_alive(data)},
            ],
            "sessionInfo": {
                "databaseName": session.database,
                "schemaName": query.get("schemaName"),
                "warehouseName": session.warehouse,
                "roleName": session.role,
            },
        }

    def _keeps_alive(self, data: dict[str, Any]) -> bool:
        """The account's setting, unless the login has one of its own."""
        own = (data.get("SESSION_PARAMETERS") or {}).get("CLIENT_SESSION_KEEP_ALIVE")
        return self.account.keeps_alive if own is None else str(own).lower() == "true"

    def session(self, token: str) -> Session:
        session = self.sessions.get(token)
        if session is None:
            raise SnowflakeError("390104", "User must login again to access the service.", None, 401)
        if session.expired:
            raise SnowflakeError(session.expired, "Your session has expired. Please login again.", None)
        return session

    def renew(self, master: str, token: str) -> dict[str, Any]:
        """What the driver asks for, by itself, when the token of a session has expired."""
        session = self.sessions.get(token)
        if session is None or session.lost or master.split("-")[1] != token.split("-")[1]:
            raise SnowflakeError("390114", "Authentication token has expired. Please login again.", None)
        session.expired = ""
        del self.sessions[token]
        number, _, times = token.removeprefix("session-").partition("-")
        renewed = f"session-{number}-{int(times or 0) + 1}"
        self.sessions[renewed] = session
        return {
            "sessionToken": renewed,
            "validityInSecondsST": 3600,
            "masterToken": master,
            "validityInSecondsMT": self.account.master_seconds,
            "sessionId": int(number),
        }


class _Handler(HttpHandler):
    owner: StandIn
    timeout = 30

    def do_GET(self) -> None:
        self._answer(404, {"success": False, "code": "390404", "message": "not here"})

    def do_POST(self) -> None:
        raw = self.body()
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        path = urlsplit(self.path)
        standin = self.owner
        standin.requests.append(path.path)
        with standin.in_use(self._token()):
            time.sleep(standin.account.slow)
        if standin.http_status is not None:
            self.answer(standin.http_status, b"<html>no Snowflake here</html>", "text/html")
            return
        query = {key: values[0] for key, values in parse_qs(path.query).items()}
        try:
            self._route(path.path, query, json.loads(body or b"{}"))
        except SnowflakeError as error:
            data = {"errorCode": error.code, "sqlState": error.sqlstate}
            answer = {"success": False, "code": error.code, "message": str(error), "data": data}
            self._answer(error.status, answer)

    def _route(self, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        standin = self.owner
        if path == "/session/v1/login-request":
            self._answer(200, {"success": True, "data": standin.login(query, body["data"])})
        elif path == "/queries/v1/query-request":
            session = standin.session(self._token())
            found = standin.answers.run(session, body["sqlText"])
            if found is None:
                self._forward(session, body)
            else:
                self._answer(200, {"success": True, "data": _result(session, *found)})
        elif path == "/session/token-request":
            renewed = standin.renew(self._token(), body["oldSessionToken"])
            self._answer(200, {"success": True, "data": renewed})
        elif path == "/session" and query.get("delete") == "true":
            standin.sessions.pop(self._token(), None)
            self._answer(200, {"success": True, "data": None})
        else:
            self._answer(200, {"success": True, "data": None})

    def _token(self) -> str:
        found = re.search(r'Token="([^"]*)"', self.headers.get("Authorization", ""))
        return found[1] if found else ""

    def _forward(self, session: Session, body: dict[str, Any]) -> None:
        """To fakesnow, under a login of its own for each session."""
        upstream = http.client.HTTPConnection(LOOPBACK, self.owner.upstream_port or 0, timeout=20)
        try:
            if not session.upstream:
                where = f"?databaseName={session.database or ''}"
                login = json.dumps({"data": {"SESSION_PARAMETERS": {}}})
                upstream.request("POST", f"/session/v1/login-request{where}", login)
                session.upstream = json.loads(upstream.getresponse().read())["data"]["token"]
            headers = {"Authorization": f'Snowflake Token="{session.upstream}"'}
            upstream.request("POST", "/queries/v1/query-request", json.dumps(body), headers)
            answer = upstream.getresponse()
            self.answer(answer.status, answer.read(), "application/json")
        finally:
            upstream.close()

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        answer.setdefault("code", None)
        answer.setdefault("message", None)
        self.answer(status, json.dumps(answer).encode(), "application/json")


def _result(session: Session, columns: list[str], rows: list[list[str | None]]) -> dict[str, Any]:
    kind = {"type": "text", "length": 1000, "byteLength": 4000, "nullable": True, "scale": None}
    return {
        "parameters": [],
        "rowtype": [{"name": name, **kind, "precision": None} for name in columns],
        "rowset": rows,
        "total": len(rows),
        "returned": len(rows),
        "queryId": "01b00000-0000-0000-0000-000000000001",
        "queryResultFormat": "json",
        "statementTypeId": 4096,
        "finalRoleName": session.role,
        "finalWarehouseName": session.warehouse,
        "finalDatabaseName": session.database,
        "finalSchemaName": None,
    }
