"""What dbt needs of the target: its file, an engine with its options, extensions, settings and catalogs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionStatus, ErrorType, deadline
from floe_monitor_duckdb import database_file, extensions
from floe_monitor_duckdb.connect import connect
from floe_monitor_duckdb.time_limit import interrupted_at, require_time

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_duckdb.config import DuckDBConfig
    from floe_monitor_duckdb.iceberg.token_cache import TokenCache


def examine(config: DuckDBConfig, validation: Validation, tokens: TokenCache, calls: BlockingCalls) -> None:
    if config.is_file:
        with validation.check("file") as check:
            _check_file(config, check)
    with validation.check("connect") as check:
        require_time()
        connection = connect(config, check)
    with closing(connection):
        with validation.check("query"):
            connection.execute("SELECT 1").fetchall()
        loaded: set[str] = set()
        limit = deadline.with_margin()
        if config.settings or config.extension_names:
            with interrupted_at(limit, connection):
                loaded = _load_extensions(config, connection, validation)
                _apply_settings(config, connection, validation)
        catalogs = config.catalogs()
        if catalogs and limit.expired and not loaded.issuperset(config.extension_names):
            validation.warn("catalogs: not checked, for loading the extensions took all the time")
        elif catalogs:
            from floe_monitor_duckdb.iceberg import checks  # noqa: PLC0415 - HTTP and TLS load with it

            engine = checks.Engine(connection, config.all_secrets(), loaded)
            http = checks.Http(config.http_options, calls, tokens)
            checks.examine(catalogs, engine, http, validation)
    _warn_of_the_unchecked(config, validation)


def _check_file(config: DuckDBConfig, check: Check) -> None:
    path = config.path
    try:
        found = database_file.inspect(
            path,
            read_only=config.read_only,
            check_writable=config.check_writable,
            limit=deadline.with_margin(),
        )
    except database_file.UnusableFileError as error:
        check.fail(f"{path} {error}", error.error_type)
        return
    for warning in found.warnings:
        check.warn(warning)
    if not found.exists and config.must_exist:
        check.fail(f"{path} does not exist", ErrorType.CONNECTION)
    elif not found.exists:
        check.degrade(f"{path} does not exist; dbt would create an empty database")
    elif found.holder is not None:
        how = "" if found.holder.exclusive else " for reading"
        check.degrade(f"{path} is in use{how} by {found.holder}")
    elif found.limitations:
        check.degrade(f"{path}: {'; '.join(found.limitations)}", ErrorType.PERMISSION)


def _load_extensions(
    config: DuckDBConfig, connection: DuckDBPyConnection, validation: Validation
) -> set[str]:
    """Those that are now loaded."""
    loaded = set()
    for name in config.extension_names:
        with validation.check(
            f"extension:{name}",
            on_failure=ConnectionStatus.DEGRADED,
            on_timeout=ConnectionStatus.DEGRADED,
        ) as check:
            require_time()
            warning = extensions.load(connection, name)
            loaded.add(name)
            if warning:
                check.warn(warning)
    return loaded


def _apply_settings(config: DuckDBConfig, connection: DuckDBPyConnection, validation: Validation) -> None:
    """SET what the profile's `settings` hold, as text like dbt does."""
    if not config.settings:
        return
    with validation.check("settings"):
        for name, value in config.settings.items():
            if value is not None and name != "memory_limit":
                text = str(value).replace("'", "''")
                connection.execute(f"SET {name} = '{text}'")


def _warn_of_the_unchecked(config: DuckDBConfig, validation: Validation) -> None:
    for entry in config.attach:
        if not entry.is_iceberg:
            validation.warn(f"attach {entry.alias or entry.path}: not checked")
    for name in ("filesystems", "plugins"):
        if getattr(config, name):
            validation.warn(f"{name}: not checked")
