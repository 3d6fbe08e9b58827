"""A session over ClickHouse's HTTP interface: each request brings its login, database and settings along."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from floe_monitor.compute.toolkit.http_connection import HttpConnection
from floe_monitor_clickhouse.errors import (
    HttpStatusError,
    UnexpectedAnswerError,
    coded_error,
    translated,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute import Deadline
    from floe_monitor.compute.toolkit.bounded_socket import BoundedSocket
    from floe_monitor.compute.toolkit.endpoints import Endpoint
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

_CODE = "X-ClickHouse-Exception-Code"
_PARAMETERS = {"default_format": "JSONCompact", "wait_end_of_query": "1"}
"""The answer waits until the statement has ended: an error in its midst is then in the status too."""
_BODY_LIMIT = 1 << 20


class HttpSession:
    """Not for two threads at once."""

    def __init__(
        self,
        connection: BoundedSocket,
        reopen: Callable[[Deadline], BoundedSocket],
        site: str,
        headers: Mapping[str, str],
    ) -> None:
        """`site` goes before the path of each request: empty, but where a proxy is sent the whole address."""
        self._connection = HttpConnection(connection)
        self._reopen, self._site, self._headers = reopen, site, dict(headers)
        self.version = ""
        self.usable = True

    def run(
        self, sql: str, settings: Mapping[str, str] | None = None, waits_for: str = ""
    ) -> list[list[str]]:
        """The rows, as text. Raises `ServerError` for the server's refusal."""
        parameters = urlencode({**_PARAMETERS, **(settings or {})})
        answer = self._send("POST", f"/?{parameters}", sql.encode(), waits_for or "the answer to a statement")
        return _rows_in(answer)

    def _send(self, method: str, target: str, body: bytes | None, waits_for: str) -> HttpAnswer:
        if not self._connection.alive:
            # Servers keep an idle connection for some seconds, and proxies may end it after each answer.
            self._connection.close()
            self._connection = HttpConnection(self._reopen(self._connection.connection.deadline))
        self._connection.connection.waits_for = waits_for
        headers = self._headers if body is None else {**self._headers, "Content-Length": str(len(body))}
        with translated():
            self._connection.send(method, f"{self._site}{target}", headers, body)
            return self._connection.read(method, _BODY_LIMIT, cut=False)

    # ------------------------------------------------------------ between validations

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self._connection.connection.endpoints

    def prove(self, proving: Deadline, deadline: Deadline) -> bool:
        """Whether the server still answers; who asks is proved anew by each statement."""
        if not self._connection.alive:
            return False
        self._connection.connection.renew(proving)
        answer = self._send("GET", "/ping", None, "the answer to a ping")
        self._connection.connection.deadline = deadline
        return answer.status == 200 and self._connection.alive

    def rest(self) -> bool:
        """No request leaves anything behind in the server."""
        return self.usable and self._connection.alive

    def close(self) -> None:
        self.usable = False
        self._connection.close()


def _rows_in(answer: HttpAnswer) -> list[list[str]]:
    code = answer.headers.get(_CODE)
    if answer.status != 200 or code is not None:
        said = answer.body.decode(errors="replace")
        raise coded_error(said, code) or HttpStatusError(answer)
    if not answer.body.strip():
        return []
    try:
        found: Any = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    rows = found.get("data") if isinstance(found, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise UnexpectedAnswerError("the answer to a statement is not ClickHouse's")
    return [[str(value) for value in row] for row in rows]
