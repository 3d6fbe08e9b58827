"""Getting to an engine: an in-memory DuckDB that is set up as dbt would set up its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ErrorType
from floe_monitor.compute.toolkit.headroom import require_descriptors
from floe_monitor_duckdb import extensions
from floe_monitor_duckdb.errors import MissingExtensionError, classify

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Check
    from floe_monitor_duckdb.config import DuckDBConfig

_OF_THE_FILE = frozenset({"access_mode"})
"""Options that concern the database file, and that an in-memory database refuses."""
_DESCRIPTORS = 16
"""File descriptors that have to be free before DuckDB opens, which takes one or two; of a limit under 128 an
eighth of it."""


def connect(config: DuckDBConfig, check: Check) -> DuckDBPyConnection:
    """An engine with the target's options, or without them where they need an extension that is not here."""
    if not config.is_memory and not config.is_file:
        check.degrade(f"{config.path} is not checked: it is reached through an extension")
    try:
        return open_engine(config)
    except Exception as error:  # DuckDB's own classes do not distinguish; classify does
        failure = classify(error)
        if failure.error_type is not ErrorType.EXTENSION:
            raise
    # An option of an extension that is not here: dbt would fetch it, so this is no verdict on the engine.
    if install_extensions(config):
        return open_engine(config)
    check.degrade(f"{failure.message} dbt would have to download it", ErrorType.EXTENSION)
    return open_engine(config, bare=True)


def open_engine(config: DuckDBConfig, *, bare: bool = False) -> DuckDBPyConnection:
    """Open it with the target's options and memory limit, and without downloads.

    It runs one thread: any number is valid, and starting four for `SELECT 1` costs a tenth of the probe.
    `bare` leaves all options out but where extensions lie.
    """
    import duckdb  # noqa: PLC0415 - the driver is imported only when used

    # DuckDB 1.5.5 aborts the whole process where it finds none free as it opens.
    require_descriptors(_DESCRIPTORS)
    settings = config.settings_in_force()
    options: dict[str, Any] = {
        "threads": 1,
        "autoinstall_known_extensions": "false",
        **{
            name: value
            for name, value in config.config_options.items()
            if (config.is_memory or name.lower() not in _OF_THE_FILE)
            and (not bare or name.lower() == "extension_directory")
        },
        **({"memory_limit": settings["memory_limit"]} if "memory_limit" in settings else {}),
    }
    return duckdb.connect(":memory:", config=options)


def install_extensions(config: DuckDBConfig) -> bool:
    """Install the target's extensions from their packages before its own options are in force.

    True where all are now in place where dbt looks for them, so that another attempt to connect may succeed.
    """
    if not config.extension_names:
        return False
    connection = open_engine(config, bare=True)
    try:
        return extensions.install_packaged(connection, config.extension_names)
    except MissingExtensionError:
        return False
    finally:
        connection.close()
