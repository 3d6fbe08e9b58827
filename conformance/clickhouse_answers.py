"""What the stand-in for ClickHouse answers to statements of a probe and of dbt, in the engine's words."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Rows = list[list[str | int]]
PASSWORD = "it's \\ secret"  # noqa: S105 - of a server that lives for a minute
Refusal = tuple[int, str]
BAD_LOGIN = (
    516,
    "{}: Authentication failed: the password is wrong, or there is no such user. (AUTHENTICATION_FAILED)",
)
DENIED = (497, "dbt: Not enough privileges. (ACCESS_DENIED)")
NO_CLUSTER = (701, "Requested cluster '{}' not found. (CLUSTER_DOESNT_EXIST)")
SYNTAX = (62, "Syntax error: failed at position 1: CHECK. (SYNTAX_ERROR)")
UNKNOWN_SETTING = (115, "Unknown setting '{}'. (UNKNOWN_SETTING)")
READ_ONLY = (164, "Cannot modify '{}' setting in readonly mode. (READONLY)")
KNOWN = {
    "mutations_sync": "1", "lightweight_deletes_sync": "2", "alter_sync": "1", "insert_distributed_sync": "0",
    "database_replicated_enforce_synchronous_settings": "0", "insert_quorum": "0", "max_threads": "2",
    "select_sequential_consistency": "0", "connections_with_failover_max_tries": "3",
    "connect_timeout_with_failover_ms": "1000", "allow_nondeterministic_mutations": "0",
    "date_time_input_format": "basic", "cast_string_to_dynamic_use_inference": "0",
}  # fmt: skip


@dataclass
class State:
    """What the stand-in knows; tests change it at will."""

    users: dict[str, str] = field(default_factory=lambda: {"dbt": PASSWORD})
    databases: dict[str, str] = field(default_factory=lambda: {"default": "Atomic", "marts": "Atomic"})
    """Engine by name."""
    engines: frozenset[str] = frozenset({"Atomic", "Replicated"})
    clusters: frozenset[str] = frozenset({"main"})
    denied: frozenset[str] = frozenset()
    """Rights that the user has not."""
    readonly: str = "0"
    allow_ddl: str = "1"
    constant: dict[str, str] = field(default_factory=dict)
    """Settings that the profile lets nobody change."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    """Code and message, by what a statement contains."""
    status: int | None = None
    """Of every answer over HTTP, in place of the true one."""
    page: bytes = b""
    closes: bool = False
    """Whether each answer over HTTP ends its connection."""
    version: str = "26.9.2"
    statements: list[str] = field(default_factory=list)
    settings: list[dict[str, str]] = field(default_factory=list)
    """Of each statement."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """Of each request over HTTP, in lower case."""
    connections: int = 0

    def answer(self, sql: str, settings: Mapping[str, str]) -> Rows:
        """Raises `RefusedError`."""
        self.statements.append(sql)
        self.settings.append(dict(settings))
        for part, refusal in self.refused.items():
            if part in sql:
                raise RefusedError(*refusal)
        for name in settings:
            if name not in KNOWN:
                raise RefusedError(UNKNOWN_SETTING[0], UNKNOWN_SETTING[1].format(name))
            if self.readonly == "1" or name in self.constant:
                raise RefusedError(READ_ONLY[0], READ_ONLY[1].format(name))
        return self._rows(sql.partition("\n FORMAT")[0].strip())

    def _rows(self, sql: str) -> Rows:
        named = re.search(r"= '(.*)'$", sql)
        name = named[1] if named else ""
        rows: Rows = [[1]]
        if sql.startswith("SELECT version()"):
            rows = [[self.version, "UTC"]] if "timezone()" in sql else [[self.version]]
        elif "FROM system.settings" in sql:
            rows = self._settings(sql)
        elif match := re.fullmatch(r"EXISTS DATABASE `(.*)`", sql):
            rows = [[int(match[1] in self.databases)]]
        elif match := re.fullmatch(r"CHECK GRANT (.*) ON .*", sql):
            rows = [[int(not self.denied.intersection(match[1].split(", ")))]]
        elif "FROM system.databases" in sql:
            rows = [[self.databases[name]]] if name in self.databases else []
        elif "FROM system.database_engines" in sql:
            rows = [[int(name in self.engines)]]
        elif "FROM system.clusters" in sql:
            rows = [[int(name in self.clusters)]]
        elif not sql.upper().startswith(("SELECT", "EXISTS", "CHECK")):
            rows = []
        return rows

    def _settings(self, sql: str) -> Rows:
        locked = int(self.readonly == "1")
        values = {**KNOWN, **self.constant, "readonly": self.readonly, "allow_ddl": self.allow_ddl}
        found: Rows = [
            [name, value, int(locked or name in self.constant)]
            for name, value in values.items()
            if f"'{name}'" in sql or "WHERE" not in sql
        ]
        return found if "SELECT name" in sql else [row[1:] for row in found]


class RefusedError(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
