"""The secrets of dbt's session, created by the statements that dbt-duckdb writes.

An engine of the probe's own creates them, so that whatever DuckDB has against one (an unknown type, provider
or key, a chain that finds no credentials) is said. None is stored: `persistent` ones are created for the
session too.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ErrorType, deadline
from floe_monitor_duckdb import extensions
from floe_monitor_duckdb.errors import MissingExtensionError
from floe_monitor_duckdb.sql import literal
from floe_monitor_duckdb.time_limit import require_time

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check, Validation
    from floe_monitor_duckdb.config import DuckDBConfig

_UNQUOTED = frozenset({"type", "provider"})
_MAP = re.compile(r"\s*map\s*\{[^;]*\}\s*", re.IGNORECASE)
"""`extra_http_headers` as DuckDB writes it, which dbt-duckdb hands on as it is."""


def create(
    config: DuckDBConfig, connection: DuckDBPyConnection, validation: Validation, *, but: Collection[str] = ()
) -> None:
    """Each is a check of its own. `but` has the names, in lower case, of those that others create."""
    for secret in config.session_secrets():
        if secret["name"].lower() in but:
            continue
        with validation.check(f"secret:{secret['name']}") as check:
            require_time()
            try:
                if secret["type"].lower() == "iceberg":
                    _bound_http(connection)
                shortcoming = extensions.execute(connection, create_sql(secret))
            except MissingExtensionError as error:
                check.degrade(str(error), ErrorType.EXTENSION)
                continue
            report(shortcoming, config, check)


def report(shortcoming: str | None, config: DuckDBConfig, check: Check) -> None:
    """Of an extension that dbt cannot have, as far as what holds for this user holds for dbt."""
    if shortcoming is not None and config.check_writable:
        check.degrade(shortcoming, ErrorType.EXTENSION)
    elif shortcoming is not None:
        check.warn(shortcoming)


def _bound_http(connection: DuckDBPyConnection) -> None:
    """DuckDB asks for a token as it creates a secret of Iceberg: in whole seconds, its only unit."""
    extensions.load(connection, "httpfs")
    connection.execute(f"SET http_timeout = {max(1, int(deadline.with_margin().remaining()))}")
    connection.execute("SET http_retries = 0")


def create_sql(secret: Mapping[str, Any]) -> str:
    """dbt-duckdb's statement. Type, provider, name and keys are plain words by the configuration."""
    parts: list[str] = []
    for key, value in secret.items():
        if key in {"name", "persistent"} or value is None:
            continue
        if key == "scope" and isinstance(value, list):
            parts += [f"scope {literal(each)}" for each in value]
        else:
            parts.append(f"{key} {_value(key, value)}")
    return f"CREATE OR REPLACE SECRET {secret['name']} ({', '.join(parts)})"


def _value(key: str, value: Any) -> str:
    if isinstance(value, dict):
        return "map {" + ", ".join(f"{literal(name)}: {literal(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return f"array [{', '.join(map(literal, value))}]"
    if key in _UNQUOTED or (key == "extra_http_headers" and _MAP.fullmatch(str(value))):
        return str(value)
    return literal(value)
