"""The `settings` of a target, set as dbt-duckdb sets them: as text, after everything else is in place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType
from floe_monitor_duckdb import database_file
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
    """dbt sets memory limit and threads too; here only where that may be what fails."""
    if not (config.settings or config.is_locked or config.temporary_directory):
        return
    with validation.check("settings") as check:
        for catalog in config.catalogs():
            databases.stand_in_for_missing(catalog.alias)
        for name, value in config.settings_in_force().items():
            if not config.is_locked and (name not in config.settings or name == "memory_limit"):
                continue
            if name.lower() in _NAME_SCHEMAS:
                _set_path(name, value, connection, databases, check)
            else:
                connection.execute(_set(name, value))
        if not config.is_locked and _is_locked(connection):
            check.degrade(
                "lock_configuration: dbt sets `settings` at each of its connections, and a locked engine "
                "refuses that of the second",
                ErrorType.CONFIGURATION,
            )
        _check_temporary_directory(config, check)


def _is_locked(connection: DuckDBPyConnection) -> bool:
    return connection.execute("SELECT current_setting('lock_configuration')").fetchone() == (True,)


def _check_temporary_directory(config: DuckDBConfig, check: Check) -> None:
    """DuckDB makes it when a query first needs more memory than it may have."""
    directory = config.temporary_directory
    hindrance = database_file.cannot_hold(directory) if directory and config.check_writable else None
    if hindrance is not None:
        check.degrade(
            f"temp_directory {directory} {hindrance}: a query that needs more than memory_limit fails",
            ErrorType.CONFIGURATION,
        )


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
