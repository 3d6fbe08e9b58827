"""The plugin: checks of one DuckDB target, its profile and what dbt needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from floe_monitor.compute import (
    CatalogConfig,
    Check,
    ComputeConfig,
    ComputeConfigurationError,
    ComputePlugin,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor_duckdb import attaching, catalogs, engine, extensions, files, profile
from floe_monitor_duckdb.config import DuckDBConfig
from floe_monitor_duckdb.errors import classify
from floe_monitor_duckdb.tokens import TokenCache

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pydantic import BaseModel


class DuckDBComputePlugin(ComputePlugin):
    """DuckDB in memory or in a file. The user's file is never opened by DuckDB, so no lock is ever taken."""

    def __init__(self) -> None:
        self._tokens = TokenCache()

    @property
    def name(self) -> str:
        return "duckdb"

    @property
    def version(self) -> str:
        from floe_monitor_duckdb import __version__  # noqa: PLC0415 - the package imports this module

        return __version__

    @property
    def floe_api_version(self) -> str:
        return "1.0"

    @property
    def is_self_hosted(self) -> bool:
        return True

    @property
    def description(self) -> str:
        return "DuckDB, in memory or in a file, by an in-process engine"

    @property
    def db_system_name(self) -> str:
        return "duckdb"

    def get_config_schema(self) -> type[BaseModel]:
        return DuckDBConfig

    def get_default_isolation(self, config: ComputeConfig) -> Literal["thread", "process"]:
        """Loading the extension of Iceberg costs 0.2 to 0.4 s of CPU at every probe, partly under Python's
        interpreter lock: in the daemon, every other target's result would wait for it."""
        return "process" if any(entry.is_iceberg for entry in _typed(config).attach) else "thread"

    def prepare(self, config: ComputeConfig) -> None:
        import duckdb  # noqa: F401, PLC0415 - the driver is imported only when used

        extensions.install_packaged(_typed(config))

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        own = _typed(config)
        validation = Validation(_name)
        connection: DuckDBPyConnection | None = None
        try:
            with validation:
                if own.is_file:
                    with validation.check("file") as check:
                        _check_file(own, check)
                with validation.check("connect") as check:
                    engine.require_time()
                    connection = _connect(own, check)
                assert connection is not None  # noqa: S101 - a failed check above has left the block
                with validation.check("query"):
                    connection.execute("SELECT 1").fetchall()
                loaded: set[str] = set()
                if own.settings or own.extension_names:
                    with engine.interrupted_in_time(connection):
                        loaded = _check_session(own, connection, validation)
                attaching.check(own, connection, validation, self._tokens, loaded)
                _tell_what_is_not_checked(own, validation)
        finally:
            if connection is not None:
                connection.close()
        return validation.result(_healthy_message(own))

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        return profile.generate(_typed(config))

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-duckdb>=1.9.0", "duckdb>=1.1.0,<=1.5.5"]

    def get_catalog_attachment_sql(self, catalog_config: CatalogConfig) -> list[str]:
        return catalogs.attachment_sql(catalog_config)

    def get_catalog_configs(self, config: ComputeConfig) -> list[CatalogConfig]:
        return catalogs.from_attachments(_typed(config))

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        return profile.import_output(output)


def _typed(config: ComputeConfig) -> DuckDBConfig:
    if isinstance(config, DuckDBConfig):
        return config
    try:
        return DuckDBConfig.model_validate(
            {**config.model_dump(exclude={"credentials"}), "credentials": config.credentials}
        )
    except ValueError as error:
        details: list[Any] = getattr(error, "errors", list)()
        where = ", ".join(".".join(map(str, detail["loc"])) or "target" for detail in details)
        raise ComputeConfigurationError(f"not a DuckDB configuration: {where}") from None


def _check_file(config: DuckDBConfig, check: Check) -> None:
    path = config.path
    try:
        found = files.inspect(
            path,
            read_only=config.read_only,
            check_writable=config.check_writable,
            time_left=deadline.remaining,
        )
    except files.UnusableFileError as error:
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


def _connect(config: DuckDBConfig, check: Check) -> DuckDBPyConnection:
    if not config.is_memory and not config.is_file:
        check.degrade(f"{config.path} is not checked: it is reached through an extension")
    try:
        return engine.connect(config)
    except Exception as error:  # as above: the kind of failure decides
        failure = classify(error)
        if failure.error_type is not ErrorType.EXTENSION:
            raise
    # An option of an extension that is not here: dbt would fetch it, so this is no verdict on the engine.
    if extensions.install_packaged(config):
        return engine.connect(config)
    check.degrade(f"{failure.message} dbt would have to download it", ErrorType.EXTENSION)
    return engine.connect(config, bare=True)


def _check_session(config: DuckDBConfig, connection: DuckDBPyConnection, validation: Validation) -> set[str]:
    """The extensions that are now loaded."""
    loaded = set()
    for name in config.extension_names:
        with validation.check(f"extension:{name}", on_failure=ConnectionStatus.DEGRADED) as check:
            engine.require_time()
            warning = extensions.load(connection, name)
            loaded.add(name)
            if warning:
                check.warn(warning)
    if config.settings:
        with validation.check("settings"):
            engine.apply_settings(connection, config)
    return loaded


def _tell_what_is_not_checked(config: DuckDBConfig, validation: Validation) -> None:
    for entry in config.attach:
        if entry.is_iceberg:
            continue
        validation.warn(f"attach {entry.alias or entry.path}: not checked")
    for name in ("filesystems", "plugins"):
        if getattr(config, name):
            validation.warn(f"{name}: not checked")


def _name(error: Exception) -> Failure:
    if isinstance(error, extensions.MissingExtensionError):
        return Failure(ErrorType.EXTENSION, str(error))
    return classify(error)


def _healthy_message(config: DuckDBConfig) -> str:
    return "in-memory engine answers" if config.is_memory else "file is sound, engine answers"
