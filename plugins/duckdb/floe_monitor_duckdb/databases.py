"""The databases of dbt's session by name: one that is not opened is stood for by an empty one in memory.

What a session names (`search_path`, `schema`) resolves as it does for dbt, and what depends on the content of
a database that nobody has looked into is known to be unknown.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from floe_monitor_duckdb.paths import catalog_name
from floe_monitor_duckdb.sql import identifier

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from floe_monitor_duckdb.config import DuckDBConfig

_NOT_FOUND = re.compile(r'No catalog \+ schema named "(?P<name>.+)" found')


class Databases:
    """Those of one validation's engine. `main_is_empty`: dbt would create the target's own."""

    def __init__(self, config: DuckDBConfig, connection: DuckDBPyConnection, *, main_is_empty: bool) -> None:
        self._connection = connection
        self._unseen: set[str] = set()
        self._main = catalog_name(config.path)
        if not config.is_memory:
            self.stand_in(self._main, is_empty=main_is_empty)
            connection.execute(f"USE {identifier(self._main)}")

    def stand_in(self, name: str, *, is_empty: bool = False) -> None:
        """An empty database of this name; unless `is_empty`, the real one may have any schema."""
        self._connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {identifier(name)}")
        if not is_empty:
            self._unseen.add(name.lower())

    def stand_in_for_missing(self, name: str) -> None:
        """As `stand_in`, where the engine has no database of this name."""
        found = self._connection.execute("SELECT database_name FROM duckdb_databases()").fetchall()
        if name.lower() not in {each.lower() for (each,) in found}:
            self.stand_in(name)

    def supply_schema(self, error: Exception) -> str | None:
        """The schema that is missing by this error, where a database not looked into may well have it: it
        exists from now on."""
        found = _NOT_FOUND.search(str(error))
        if found is None:
            return None
        database, dot, schema = found["name"].partition(".")
        if not dot:
            database, schema = self._main, found["name"]
        if database.lower() not in self._unseen:
            return None
        name = f"{identifier(database)}.{identifier(schema)}"
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name}")
        return f"schema {schema!r} of database {database!r}"
