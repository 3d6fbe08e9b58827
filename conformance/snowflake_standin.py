"""A stand-in for Snowflake: the driver's own HTTP interface over an account that exists in this module alone.

It is no Snowflake. It answers logins, the statements that the plugin sends and what `dbt debug` asks, with
Snowflake's public error numbers; `upstream_port` hands every other statement to a fakesnow server. It counts
every statement that Snowflake would start a warehouse for (`woken`).
"""

from __future__ import annotations

import gzip
import http.client
import json
import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

LOOPBACK = "127.0.0.1"
PASSWORD = "the password of dbt"  # noqa: S105 - of an account that lives for a minute
TOKEN = "a token that was given"  # noqa: S105
_NAME = re.compile(r"LIKE '((?:[^']|'')*)'", re.IGNORECASE)
_SCHEMA = re.compile(r'ON SCHEMA "([^"]+)"\."([^"]+)"')
_DATABASE = re.compile(r'(?:ON|IN) DATABASE "([^"]+)"')


@dataclass
class Account:
    """What exists, and who may do what with it. Names are as Snowflake stores them: upper case."""

    users: dict[str, str] = field(default_factory=lambda: {"DBT": PASSWORD})
    tokens: dict[str, str | None] = field(default_factory=lambda: {TOKEN: None})
    """Bearer tokens, each with the number of the error it meets; None where it is good."""
    refused: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Users whose login ends with an error: number and text."""
    roles: set[str] = field(default_factory=lambda: {"TRANSFORMER", "BUILDER", "READER", "PUBLIC"})
    granted: dict[str, set[str]] = field(
        default_factory=lambda: {"DBT": {"TRANSFORMER", "READER", "PUBLIC", "BUILDER"}}
    )
    inherits: dict[str, set[str]] = field(default_factory=lambda: {"TRANSFORMER": {"BUILDER"}})
    warehouses: dict[str, dict[str, str]] = field(
        default_factory=lambda: {
            "TRANSFORMING": {"state": "STARTED", "auto_resume": "true"},
            "SLEEPING": {"state": "SUSPENDED", "auto_resume": "true"},
            "OFF": {"state": "SUSPENDED", "auto_resume": "false"},
            "WATCHED": {"state": "STARTED", "auto_resume": "true"},
        }
    )
    unusable: set[str] = field(default_factory=lambda: {"WATCHED"})
    """Warehouses that are seen (MONITOR) and not to be used (USAGE)."""
    databases: dict[str, dict[str, list[tuple[str, str]]]] = field(
        default_factory=lambda: {
            "ANALYTICS": {"MARTS": [("OWNERSHIP", "BUILDER"), ("USAGE", "READER")], "PUBLIC": []},
            "SHARED": {},
        }
    )
    """Database to schema to grants (privilege, role)."""
    database_grants: dict[str, list[tuple[str, str]]] = field(
        default_factory=lambda: {"ANALYTICS": [("CREATE SCHEMA", "BUILDER"), ("USAGE", "READER")]}
    )
    hidden_grants: bool = False
    """Whether asking who has which right is refused."""
    secondary: str = ""
    slow: float = 0.0
    """Seconds before each answer."""


class SnowflakeError(Exception):
    def __init__(self, code: str, message: str, sqlstate: str | None = None, status: int = 200) -> None:
        super().__init__(message)
        self.code, self.sqlstate, self.status = code, sqlstate, status


class StandIn:
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
        self.upstream_port = upstream_port
        self.http_status = http_status
        """Answer every request with this status and a page, as a proxy or a wrong host would."""
        self.statements: list[str] = []
        self.requests: list[str] = []
        self.logins: list[dict[str, Any]] = []
        self.woken: list[str] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        standin = self

        class Handler(_Handler):
            server_of = standin

        self._server = _Server((LOOPBACK, 0), Handler)
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="snowflake-standin", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    # ------------------------------------------------------------ logins

    def login(self, query: dict[str, str], data: dict[str, Any]) -> dict[str, Any]:
        self.logins.append({**query, **data})
        user = str(data.get("LOGIN_NAME") or "DBT").upper()
        self._authenticate(user, data)
        role = identifier(query.get("roleName", "TRANSFORMER"))
        if role not in self.account.roles or role not in self.account.granted.get(user, set()):
            raise SnowflakeError(
                "390189",
                f"Role '{role}' specified in the connect string does not exist or not authorized.",
                "08001",
            )
        warehouse = identifier(query["warehouse"]) if query.get("warehouse") else None
        usable = warehouse in self.account.warehouses and warehouse not in self.account.unusable
        token = f"session-{len(self.logins)}"
        session = {
            "role": role,
            "warehouse": warehouse if usable else None,
            "database": identifier(query["databaseName"]) if query.get("databaseName") else None,
            "secondary": self.account.secondary,
        }
        self.sessions[token] = session
        return {
            "token": token,
            "masterToken": f"master-{len(self.logins)}",
            "validityInSeconds": 3600,
            "masterValidityInSeconds": 14400,
            "sessionId": len(self.logins),
            "serverVersion": "9.0.0",
            "displayUserName": user,
            "parameters": [
                {"name": "AUTOCOMMIT", "value": True},
                {"name": "TIMEZONE", "value": "UTC"},
                {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
            ],
            "sessionInfo": {
                "databaseName": session["database"],
                "schemaName": query.get("schemaName"),
                "warehouseName": session["warehouse"],
                "roleName": role,
            },
        }

    def _authenticate(self, user: str, data: dict[str, Any]) -> None:
        if user in self.account.refused:
            raise SnowflakeError(*self.account.refused[user], "08001")
        method = str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper()
        token = str(data.get("TOKEN") or "")
        if method == "SNOWFLAKE_JWT":
            if token.count(".") != 2 or user not in self.account.users:
                raise SnowflakeError("390144", "JWT token is invalid.", "08001")
        elif method in {"OAUTH", "PROGRAMMATIC_ACCESS_TOKEN"}:
            code = self.account.tokens.get(token, "390303" if method == "OAUTH" else "394400")
            if code is not None:
                raise SnowflakeError(code, "The access token is refused.", "08001")
        elif self.account.users.get(user) != data.get("PASSWORD"):
            raise SnowflakeError("390100", "Incorrect username or password was specified.", "08001")

    # ------------------------------------------------------------ statements

    def run(  # noqa: PLR0911 - one for each kind of statement
        self, session: dict[str, Any], sql: str
    ) -> tuple[list[str], list[list[str | None]]] | None:
        """Columns and rows; None for what only fakesnow may know."""
        text = re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", sql)).strip().rstrip(";")
        self.statements.append(text)
        upper = text.upper()
        if upper.startswith("SHOW"):
            return self._show(text, upper)
        if upper.startswith("USE SECONDARY ROLES "):
            session["secondary"] = "ALL" if upper.endswith("ALL") else ""
            return ["status"], [["Statement executed successfully."]]
        if upper.startswith("USE WAREHOUSE "):
            return self._use_warehouse(session, text)
        if upper.startswith("SELECT CURRENT_"):
            known = {
                "CURRENT_ROLE()": session["role"],
                "CURRENT_WAREHOUSE()": session["warehouse"],
                "CURRENT_SECONDARY_ROLES()": json.dumps({"roles": "", "value": session["secondary"]}),
                "CURRENT_VERSION()": "9.0.0",
            }
            names = [name.strip() for name in text[len("SELECT ") :].split(",")]
            return names, [[known.get(name.upper()) for name in names]]
        if upper.startswith("SELECT IS_ROLE_IN_SESSION"):
            roles = re.findall(r"IS_ROLE_IN_SESSION\('((?:[^']|'')*)'\)", text)
            held = self._held(session)
            return [f"R{n}" for n in range(len(roles))], [[str(role in held).lower() for role in roles]]
        if re.fullmatch(r"SELECT 1( AS ID)?", upper):
            return ["ID"], [["1"]]
        if self.upstream_port is not None:
            return None
        self.woken.append(text)
        raise SnowflakeError("001003", "SQL compilation error: the stand-in does not know this", "42000")

    def _held(self, session: dict[str, Any]) -> set[str]:
        held, wanted = set(), [session["role"]]
        if session["secondary"]:
            wanted += self.account.granted["DBT"]
        while wanted:
            role = wanted.pop()
            if role not in held:
                held.add(role)
                wanted += self.account.inherits.get(role, set())
        return held

    def _show(self, text: str, upper: str) -> tuple[list[str], list[list[str | None]]] | None:
        account = self.account
        found = _NAME.search(text)
        like = re.compile(_pattern(found[1]), re.IGNORECASE) if found else re.compile(".*")
        if upper.startswith("SHOW WAREHOUSES"):
            rows: list[list[str | None]] = [
                [name, known["state"], known["auto_resume"]]
                for name, known in account.warehouses.items()
                if like.fullmatch(name)
            ]
            return ["name", "state", "auto_resume"], rows
        if self.upstream_port is not None and (" SCHEMAS " in upper or "DATABASES" in upper):
            return None
        if "DATABASES" in upper:
            return ["created_on", "name"], [
                ["now", name] for name in account.databases if like.fullmatch(name)
            ]
        if " SCHEMAS " in upper:
            schemas = self._database(text)
            return ["created_on", "name"], [["now", name] for name in schemas if like.fullmatch(name)]
        if upper.startswith("SHOW GRANTS ON SCHEMA"):
            place = _SCHEMA.search(text)
            if place is None or place[2] not in account.databases.get(place[1], {}):
                raise SnowflakeError("002003", "Schema does not exist or not authorized.", "02000")
            grants = account.databases[place[1]][place[2]]
            if account.hidden_grants:
                raise SnowflakeError("003001", "Insufficient privileges to operate on schema.", "42501")
        elif upper.startswith("SHOW GRANTS ON DATABASE"):
            self._database(text)
            place = _DATABASE.search(text)
            grants = account.database_grants.get(place[1], []) if place else []
        else:
            raise SnowflakeError("001003", "SQL compilation error: the stand-in does not know this", "42000")
        columns = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name"]
        return columns, [["now", right, "OBJECT", "x", "ROLE", role] for right, role in grants]

    def _database(self, text: str) -> dict[str, list[tuple[str, str]]]:
        found = _DATABASE.search(text)
        schemas = self.account.databases.get(found[1]) if found else None
        if schemas is None:
            raise SnowflakeError(
                "002043", "Object does not exist, or operation cannot be performed.", "02000"
            )
        return schemas

    def _use_warehouse(self, session: dict[str, Any], text: str) -> tuple[list[str], list[list[str | None]]]:
        name = identifier(text[len("USE WAREHOUSE ") :])
        if name not in self.account.warehouses or name in self.account.unusable:
            raise SnowflakeError(
                "002043", "Object does not exist, or operation cannot be performed.", "02000"
            )
        session["warehouse"] = name
        return ["status"], [["Statement executed successfully."]]


def identifier(text: str) -> str:
    """A name as Snowflake stores it."""
    text = text.strip()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.upper()


def _pattern(like: str) -> str:
    """LIKE's wildcards as a regular expression; a backslash takes the meaning from the next character."""
    parts, position = [], 0
    like = like.replace("''", "'").replace("\\\\", "\\")
    while position < len(like):
        character = like[position]
        if character == "\\" and position + 1 < len(like):
            position += 1
            parts.append(re.escape(like[position]))
        else:
            parts.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
        position += 1
    return "".join(parts)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no event."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: StandIn
    timeout = 30
    wbufsize = -1

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        pass

    def do_GET(self) -> None:
        self._answer(404, {"success": False, "code": "390404", "message": "not here"})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw
        path = urlsplit(self.path)
        standin = self.server_of
        standin.requests.append(path.path)
        time.sleep(standin.account.slow)
        if standin.http_status is not None:
            self._send(standin.http_status, b"<html>no Snowflake here</html>", "text/html")
            return
        query = {key: values[0] for key, values in parse_qs(path.query).items()}
        try:
            self._route(path.path, query, json.loads(body or b"{}"))
        except SnowflakeError as error:
            data = {"errorCode": error.code, "sqlState": error.sqlstate}
            answer = {"success": False, "code": error.code, "message": str(error), "data": data}
            self._answer(error.status, answer)

    def _route(self, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        standin = self.server_of
        if path == "/session/v1/login-request":
            self._answer(200, {"success": True, "data": standin.login(query, body["data"])})
        elif path == "/queries/v1/query-request":
            session = self._session()
            found = standin.run(session, body["sqlText"])
            if found is None:
                self._forward(body)
            else:
                self._answer(200, {"success": True, "data": _result(session, *found)})
        elif path == "/session" and query.get("delete") == "true":
            standin.sessions.pop(self._token(), None)
            self._answer(200, {"success": True, "data": None})
        else:
            self._answer(200, {"success": True, "data": None})

    def _token(self) -> str:
        found = re.search(r'Token="([^"]*)"', self.headers.get("Authorization", ""))
        return found[1] if found else ""

    def _session(self) -> dict[str, Any]:
        session = self.server_of.sessions.get(self._token())
        if session is None:
            raise SnowflakeError("390104", "User must login again to access the service.", None, 401)
        return session

    def _forward(self, body: dict[str, Any]) -> None:
        """To fakesnow, under a login of its own for each session."""
        session = self._session()
        upstream = http.client.HTTPConnection(LOOPBACK, self.server_of.upstream_port or 0, timeout=20)
        try:
            if "upstream" not in session:
                where = f"?databaseName={session['database'] or ''}"
                login = json.dumps({"data": {"SESSION_PARAMETERS": {}}})
                upstream.request("POST", f"/session/v1/login-request{where}", login)
                session["upstream"] = json.loads(upstream.getresponse().read())["data"]["token"]
            headers = {"Authorization": f'Snowflake Token="{session["upstream"]}"'}
            upstream.request("POST", "/queries/v1/query-request", json.dumps(body), headers)
            answer = upstream.getresponse()
            self._send(answer.status, answer.read(), "application/json")
        finally:
            upstream.close()

    def _answer(self, status: int, answer: dict[str, Any]) -> None:
        answer.setdefault("code", None)
        answer.setdefault("message", None)
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _result(session: dict[str, Any], columns: list[str], rows: list[list[str | None]]) -> dict[str, Any]:
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
        "finalRoleName": session["role"],
        "finalWarehouseName": session["warehouse"],
        "finalDatabaseName": session["database"],
        "finalSchemaName": None,
    }
