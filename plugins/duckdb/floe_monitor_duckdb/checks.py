"""What dbt needs of the target: its file, an engine with its options, extensions, settings and catalogs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionStatus, ErrorType, deadline
from floe_monitor_duckdb import database_file, extensions, secrets, settings
from floe_monitor_duckdb.connect import connect
from floe_monitor_duckdb.databases import Databases
from floe_monitor_duckdb.time_limit import interrupted_at, require_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_duckdb.config import DuckDBConfig
    from floe_monitor_duckdb.iceberg.catalog import Catalog
    from floe_monitor_duckdb.iceberg.token_cache import TokenCache


def examine(config: DuckDBConfig, validation: Validation, tokens: TokenCache, calls: BlockingCalls) -> None:
    main_is_empty = False
    if config.is_file:
        with validation.check("file") as check:
            main_is_empty = _check_file(config, check)
    with validation.check("connect") as check:
        require_time()
        connection = connect(config, check)
    with closing(connection):
        with validation.check("query"):
            connection.execute("SELECT 1").fetchall()
        if config.has_session:
            _examine_session(config, connection, validation, tokens, calls, main_is_empty=main_is_empty)
    _warn_of_the_unchecked(config, validation)


def _examine_session(
    config: DuckDBConfig,
    connection: DuckDBPyConnection,
    validation: Validation,
    tokens: TokenCache,
    calls: BlockingCalls,
    *,
    main_is_empty: bool,
) -> None:
    """What dbt-duckdb does with a database that it has opened, in dbt-duckdb's order."""
    catalogs = config.catalogs()
    with interrupted_at(deadline.with_margin(), connection):
        loaded = _load_extensions(config, connection, validation)
        secrets.create(config, connection, validation, but=_made_by_catalogs(catalogs))
        databases = Databases(config, connection, main_is_empty=main_is_empty)
        for entry in config.attach:
            if not entry.is_iceberg:
                databases.stand_in(entry.database)
    if catalogs:
        from floe_monitor_duckdb.iceberg import checks  # noqa: PLC0415 - HTTP and TLS load with it

        engine = checks.Engine(connection, loaded)
        http = checks.Http(config.http_options, calls, tokens)
        checks.examine(catalogs, engine, http, validation)
    with interrupted_at(deadline.with_margin(), connection):
        for catalog in catalogs:
            databases.stand_in_for_missing(catalog.alias)
        settings.apply(config, connection, databases, validation)


def _check_file(config: DuckDBConfig, check: Check) -> bool:
    """Whether dbt would create it."""
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
        return False
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
    return not found.exists


def _load_extensions(
    config: DuckDBConfig, connection: DuckDBPyConnection, validation: Validation
) -> set[str]:
    """Those that are now loaded."""
    loaded = set()
    for name in config.extension_names:
        with validation.check(f"extension:{name}", on_failure=ConnectionStatus.DEGRADED) as check:
            require_time()
            shortcoming = extensions.load(connection, name)
            loaded.add(extensions.canonical(connection, name))
            secrets.report(shortcoming, config, check)
    return loaded


def _made_by_catalogs(catalogs: Sequence[Catalog]) -> set[str]:
    """The secrets, in lower case, that the checks of Iceberg catalogs replace by their own."""
    by_oauth = [catalog for catalog in catalogs if catalog.authorization == "oauth2"]
    return {catalog.secret.lower() for catalog in by_oauth if catalog.secret is not None}


def _warn_of_the_unchecked(config: DuckDBConfig, validation: Validation) -> None:
    for entry in config.attach:
        if not entry.is_iceberg:
            validation.warn(f"attach {entry.alias or entry.path}: not checked")
    for name in ("filesystems", "plugins"):
        if getattr(config, name):
            validation.warn(f"{name}: not checked")
