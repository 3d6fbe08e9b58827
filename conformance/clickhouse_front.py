"""An HTTP front before chdb, today's ClickHouse engine as a library, which has no server.

Run by the interpreter of chdb's environment: `python clickhouse_front.py FILE`, a JSON file with the port,
the engine's folder and configuration, the user and password that it lets in, and perhaps a file for TLS.
What it answers to statements, settings and rights is the engine's own word; HTTP, its statuses and the login
are not. The engine has one user, `default`, so that each process stands for one user, whose grants that has.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_NO_SETTINGS = frozenset(
    {
        "query", "database", "default_format", "wait_end_of_query", "session_id", "session_timeout",
        "session_check", "query_id", "client_protocol_version", "compress", "decompress", "role", "quota_key",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
        "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
"""Parameters of the HTTP interface, and settings that concern it alone."""
_CODE = re.compile(r"Code: (\d+)\.")
_STATUS = {"516": 403, "497": 403, "81": 404, "60": 404, "62": 400, "115": 404, "201": 503}
_DENIED = (
    "Code: 516. DB::Exception: {}: Authentication failed: password is incorrect, or there is no user with "
    "such name. (AUTHENTICATION_FAILED)\n"
)


class Engine:
    """One statement at a time, with settings that hold for it alone."""

    def __init__(self, folder: str, configuration: str) -> None:
        from chdb import session  # type: ignore[import-not-found]  # noqa: PLC0415 - of another environment

        self._session = session.Session(f"{folder}?config-file={configuration}")
        self._lock = threading.Lock()
        self._set: dict[str, str] = {}
        self._database = "default"

    def run(self, statement: str, form: str, settings: dict[str, str], database: str) -> bytes:
        """The answer; raises `RuntimeError` with the engine's words."""
        with self._lock:
            self._change(settings, database)
            found: bytes = self._session.query(statement, form).bytes()
            return found

    def _change(self, settings: dict[str, str], database: str) -> None:
        for name in [name for name in self._set if name not in settings]:
            self._session.query(f"SET {name} = DEFAULT")
            del self._set[name]
        for name, value in settings.items():
            if self._set.get(name) != value:
                quoted = value.replace("\\", "\\\\").replace("'", "\\'")
                self._session.query(f"SET {name} = '{quoted}'")
                self._set[name] = value
        if database != self._database:
            self._session.query(f"USE `{database}`")
            self._database = database


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a handshake that never comes must not hold up the others."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, *_: object) -> None:
        """A client that goes away is no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    engine: Engine
    login: str
    user: str

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._send(200, b"Ok.\n") if self.path == "/ping" else self._send(404, b"There is no handle\n")

    def do_POST(self) -> None:
        statement = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        authorization = self.headers.get("authorization", "")
        if authorization != self.login:
            self._send_error(_DENIED.format(_user_in(authorization)))
            return
        settings = {name: value for name, value in given.items() if name not in _NO_SETTINGS}
        form = given.get("default_format", "TabSeparated")
        try:
            answer = self.engine.run(statement, form, settings, given.get("database", "default"))
        except Exception as error:  # noqa: BLE001 - the engine raises plain RuntimeErrors, and some of its own
            self._send_error(f"{error}\n")
        else:
            self._send(200, answer)

    def _send_error(self, text: str) -> None:
        found = _CODE.search(text)
        code = found[1] if found else "1002"
        self._send(_STATUS.get(code, 500), text.encode(), {"X-ClickHouse-Exception-Code": code})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _user_in(authorization: str) -> str:
    try:
        return base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")[0]
    except ValueError:
        return "default"


def main() -> None:
    given = json.loads(Path(sys.argv[1]).read_text())
    pair = f"{given['user']}:{given['password']}".encode()
    engine = Engine(given["folder"], given["configuration"])
    for statement in given["statements"]:
        engine.run(statement, "TabSeparated", {}, "default")
    attributes = {
        "engine": engine,
        "user": given["user"],
        "login": f"Basic {base64.b64encode(pair).decode()}",
    }
    server = _Server(("127.0.0.1", given["port"]), type("Handler", (_Handler,), attributes))
    if given["tls"] is not None:
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(given["tls"])
    server.serve_forever()


if __name__ == "__main__":
    main()
