"""The `settings` of a target, set as dbt-duckdb sets them: as text, after everything else is in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor_duckdb.sql import literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check, Validation
    from floe_monitor_duckdb.config import DuckDBConfig, Scalar
    from floe_monitor_duckdb.databases import Databases

_NAME_SCHEMAS = frozenset({"schema", "search_path"})
_MAX_SCHEMAS = 100
"""Entries of one `search_path` that are supplied before the rest counts as missing."""


def apply(
    config: DuckDBConfig, connection: DuckDBPyConnection, databases: Databases, validation: Validation
) -> None:
    if not config.settings:
        return
    with validation.check("settings") as check:
        for name, value in config.settings.items():
            if value is None or name == "memory_limit":
                continue
            if name.lower() in _NAME_SCHEMAS:
                _set_path(name, value, connection, databases, check)
            else:
                connection.execute(_set(name, value))


def _set(name: str, value: Scalar) -> str:
    return f"SET {name} = {literal(value)}"


def _set_path(
    name: str, value: Scalar, connection: DuckDBPyConnection, databases: Databases, check: Check
) -> None:
    for _ in range(_MAX_SCHEMAS):
        try:
            connection.execute(_set(name, value))
        except Exception as error:
            missing = databases.supply_schema(error)
            if missing is None:
                raise
            check.degrade(f"{name}: whether there is a {missing} is not checked: probes open no database")
        else:
            return
    connection.execute(_set(name, value))
