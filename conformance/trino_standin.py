"""A stand-in for a Trino coordinator on loopback: its client protocol, as far as the plugin and dbt use it.

It answers the statements of a probe by what `State` says, in the words that a real Trino 476 used. What it is
for: kits and faults that must run anywhere, and states that a real one is not brought into here.
"""

from __future__ import annotations

import base64
import json
import re
import time
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from conformance.loopback_server import HttpHandler, LoopbackServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
TOKEN = "token-canary-0123456789"  # noqa: S105
_HELD_SECONDS = 1.0
"""How long Trino holds back an answer that says that nothing has changed."""

STARTING = ("SERVER_STARTING_UP", "INTERNAL_ERROR", "Trino server is still initializing")
QUEUE_FULL = ("QUERY_QUEUE_FULL", "INSUFFICIENT_RESOURCES", 'Too many queued queries for "full"')
DENIED = (
    "PERMISSION_DENIED",
    "USER_ERROR",
    "Access Denied: Cannot create table memory.marts.floe_monitor_probe",
)
_UNKNOWN_TRANSACTION = ("UNKNOWN_TRANSACTION", "USER_ERROR", "Unknown transaction ID: {}. Possibly expired?")
_READ_ONLY = ("READ_ONLY_VIOLATION", "USER_ERROR", "Cannot execute write in a read-only transaction")
_NONE = "NONE"
_COLUMN = {"name": "column", "type": "varchar", "typeSignature": {"rawType": "varchar", "arguments": []}}
"""dbt's driver looks at the signature; the plugin at neither."""


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    logins: frozenset[str] = frozenset()
    """Values of `Authorization` that are let in; empty: whoever names a user."""
    starting: bool = False
    coordinator: bool = True
    catalogs: Mapping[str, str] = field(default_factory=lambda: {"memory": "memory", "tpch": "tpch"})
    """Connector by catalog."""
    schemas: frozenset[str] = frozenset({"marts"})
    required_workers: int = 1
    nodes: int = 1
    refused: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Trino's errorName, errorType and message, by what a statement contains."""
    status: int | None = None
    """Of every answer, in place of the true one."""
    stuck: str | None = None
    """State in which each statement stays for ever."""
    queued: bool = True
    """Whether its resource group is what a stuck statement waits for, not workers."""
    next_site: str | None = None
    """Where answers say that the next page is; None: where the request was sent to, as Trino does it."""
    moved: tuple[int, str] | None = None
    """Status and Location of the answer to each statement."""
    drops_transactions: bool = False
    """Whether the header with a transaction's id never arrives, as behind some gateways."""
    statements: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each statement, in lower case."""
    cancelled: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    """Method and path of every request."""


@dataclass
class _Query:
    statement: str
    begun: float
    rows: list[list[Any]]
    error: tuple[str, str, str] | None
    transaction: str | None = None


class StandIn(LoopbackServer):
    """Listens on a free port; with a TLS context in HTTPS alone."""

    def __init__(self, tls: ssl.SSLContext | None = None, **state: Any) -> None:
        self.state = State(**state)
        self.queries: dict[str, _Query] = {}
        self.transactions: set[str] = set()
        self.numbers = count(1)
        self.scheme = "http" if tls is None else "https"
        super().__init__(_Handler, tls)


def basic(user: str, password: str = PASSWORD) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


class _Handler(HttpHandler):
    owner: StandIn

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        state = self.owner.state
        body = self.body().decode()
        state.paths.append(f"{self.command} {self.path}")
        if state.status is not None:
            self.answer(state.status, b"")
        elif self.path == "/v1/info":
            info = {
                "nodeVersion": {"version": "476"},
                "starting": state.starting,
                "coordinator": state.coordinator,
            }
            self._send_json(info)
        elif state.logins and self.headers.get("authorization") not in state.logins:
            self.answer(401, b"Access Denied: Invalid credentials", "text/plain;charset=utf-8")
        elif self.path == "/v1/statement" and state.moved is not None:
            self.answer(state.moved[0], b"", headers={"Location": state.moved[1]})
        elif self.path == "/v1/statement":
            state.statements.append(body)
            state.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send_page(self._begin(body), 0)
        elif match := re.fullmatch(r"/v1/statement/\w+/(\w+)/(\d+)", self.path):
            self._continue(match[1], int(match[2]))
        else:
            self.answer(404, b"")

    def _begin(self, statement: str) -> str:
        name = f"20261126_100000_{next(self.owner.numbers):05}_abcde"
        transaction = self.headers.get("x-trino-transaction-id", _NONE)
        if self.owner.state.drops_transactions:
            transaction = _NONE
        error = self._refusal(statement, transaction)
        query = _Query(statement, time.monotonic(), [], error)
        if error is None:
            query.rows = _rows(self.owner.state, statement)
            if statement.startswith("START TRANSACTION"):
                query.transaction = f"{next(self.owner.numbers):08}-0000-0000-0000-000000000000"
                self.owner.transactions.add(query.transaction)
            elif statement == "rollback":
                self.owner.transactions.discard(transaction)
        self.owner.queries[name] = query
        return name

    def _refusal(self, statement: str, transaction: str) -> tuple[str, str, str] | None:
        state = self.owner.state
        if state.starting:
            return STARTING
        if transaction not in {_NONE, *self.owner.transactions}:
            return (*_UNKNOWN_TRANSACTION[:2], _UNKNOWN_TRANSACTION[2].format(transaction))
        found = next((error for part, error in state.refused.items() if part in statement), None)
        if found is None and statement.startswith("create ") and transaction != _NONE:
            return _READ_ONLY
        return found

    def _continue(self, name: str, number: int) -> None:
        query = self.owner.queries.get(name)
        if query is None:
            self.answer(404, b"")
        elif self.command == "DELETE":
            self.owner.state.cancelled.append(query.statement)
            self.answer(204, b"")
        else:
            if self.owner.state.stuck is not None and number > 1:
                time.sleep(_HELD_SECONDS)
            self._send_page(name, number)

    def _send_page(self, name: str, number: int) -> None:
        """The first says that the statement is queued, the second what came of it, the third is the end."""
        query, state = self.owner.queries[name], self.owner.state
        elapsed = int((time.monotonic() - query.begun) * 1000)
        waiting = elapsed if state.queued else 5
        word = state.stuck or ("QUEUED" if number == 0 else "FINISHED")
        stats = {"state": word, "elapsedTimeMillis": elapsed, "queuedTimeMillis": waiting, "nodes": 1}
        page: dict[str, Any] = {
            "id": name,
            "infoUri": f"/ui/query.html?{name}",
            "stats": stats,
        }
        last = 2
        if state.stuck is None and number == 1:
            if query.error is not None:
                error = dict(zip(("errorName", "errorType", "message"), query.error, strict=True))
                page |= {"error": {**error, "errorCode": 1}}
                stats["state"], last = "FAILED", 1
            else:
                page |= {"columns": [_COLUMN] * len(query.rows[0] if query.rows else [0]), "data": query.rows}
        if number < last or state.stuck is not None:
            site = state.next_site or f"{self.owner.scheme}://{self.headers['host']}"
            page["nextUri"] = f"{site}/v1/statement/queued/{name}/{number + 1}"
        headers = {}
        if query.transaction is not None and number == 1:
            headers["X-Trino-Started-Transaction-Id"] = query.transaction
        self._send_json(page, headers)

    def _send_json(self, content: object, headers: Mapping[str, str] | None = None) -> None:
        self.answer(200, json.dumps(content).encode(), "application/json", headers)


def _rows(state: State, statement: str) -> list[list[Any]]:
    named = re.search(r"= '(.*)'$", statement)
    if "system.metadata.catalogs" in statement and named:
        connector = state.catalogs.get(named[1])
        return [] if connector is None else [[named[1], named[1], connector]]
    if ".information_schema.schemata" in statement and named:
        return [[named[1]]] if named[1] in state.schemas else []
    if statement.startswith("show session"):
        return [["required_workers_count", str(state.required_workers), "1", "integer", "…"]]
    if "system.runtime.nodes" in statement:
        return [[state.nodes]]
    return [[True]] if statement.startswith("explain") else [[1]]
