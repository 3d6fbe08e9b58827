"""What dbt needs of the target: its file, an engine with its options, extensions, settings and catalogs."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionStatus, deadline
from floe_monitor_duckdb import attachments, extensions, secrets, settings
from floe_monitor_duckdb.connect import connect
from floe_monitor_duckdb.databases import Databases
from floe_monitor_duckdb.file_check import check_file
from floe_monitor_duckdb.time_limit import interrupted_at, require_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_duckdb.config import DuckDBConfig
    from floe_monitor_duckdb.iceberg.catalog import Catalog
    from floe_monitor_duckdb.iceberg.token_cache import TokenCache


def examine(config: DuckDBConfig, validation: Validation, tokens: TokenCache, calls: BlockingCalls) -> None:
    main_is_empty = False
    if config.is_file:
        with validation.check("file") as check:
            main_is_empty = check_file(
                config.path,
                check,
                read_only=config.read_only,
                check_writable=config.check_writable,
                must_exist=config.must_exist,
            )
    with validation.check("connect") as check:
        require_time()
        connection = connect(config, check)
    with closing(connection):
        with validation.check("query"):
            connection.execute("SELECT 1").fetchall()
            databases = (
                Databases(config, connection, main_is_empty=main_is_empty) if config.has_session else None
            )
        if databases is not None:
            _examine_session(config, connection, databases, validation, tokens, calls)
    _admit_the_unchecked(config, validation)


def _examine_session(
    config: DuckDBConfig,
    connection: DuckDBPyConnection,
    databases: Databases,
    validation: Validation,
    tokens: TokenCache,
    calls: BlockingCalls,
) -> None:
    """What dbt-duckdb does with a database that it has opened, in dbt-duckdb's order."""
    catalogs = config.catalogs()
    limit = deadline.with_margin()  # asked again late, it comes later
    with interrupted_at(limit, connection):
        loaded = _load_extensions(config, connection, validation)
        if limit.expired and len(loaded) < len(config.extension_names):
            validation.warn("nothing after the extensions was checked: loading them took all the time")
            return
        secrets.create(config, connection, validation, but=_made_by_catalogs(catalogs))
        attachments.examine(config, connection, databases, validation)
    if catalogs:
        from floe_monitor_duckdb.iceberg import checks  # noqa: PLC0415 - HTTP and TLS load with it

        engine = checks.Engine(connection, loaded)
        http = checks.Http(config.http_options, calls, tokens)
        checks.examine(catalogs, engine, http, validation)
    with interrupted_at(deadline.with_margin(), connection):
        settings.apply(config, connection, databases, validation)


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
            shortcoming = extensions.load(connection, name)
            loaded.add(extensions.canonical(connection, name))
            secrets.report(shortcoming, config, check)
    return loaded


def _made_by_catalogs(catalogs: Sequence[Catalog]) -> set[str]:
    """The secrets, in lower case, that the checks of Iceberg catalogs replace by their own."""
    by_oauth = [catalog for catalog in catalogs if catalog.authorization == "oauth2"]
    return {catalog.secret.lower() for catalog in by_oauth if catalog.secret is not None}


def _admit_the_unchecked(config: DuckDBConfig, validation: Validation) -> None:
    """What dbt's own Python makes of the packages that it has."""
    for name, makes in (("filesystems", "fsspec makes them"), ("plugins", "dbt-duckdb loads them")):
        if getattr(config, name):
            with validation.check(name) as check:
                check.degrade(f"{name}: not checked, {makes} in dbt's own Python")
