"""An in-memory DuckDB that is set up as dbt would set up its own."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeTimeoutError, deadline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from duckdb import DuckDBPyConnection

    from floe_monitor_duckdb.config import DuckDBConfig

_OF_THE_FILE = frozenset({"access_mode"})
"""Options that concern the database file, and that an in-memory database refuses."""


def connect(config: DuckDBConfig, *, bare: bool = False) -> DuckDBPyConnection:
    """Open it with the target's options and memory limit, and without downloads.

    It runs one thread: any number is valid, and starting four for `SELECT 1` costs a tenth of the probe.
    `bare` leaves all options out but where extensions lie.
    """
    import duckdb  # noqa: PLC0415 - the driver is imported only when used

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


def apply_settings(connection: DuckDBPyConnection, config: DuckDBConfig) -> None:
    """SET what the profile's `settings` hold, as text like dbt does."""
    for name, value in config.settings.items():
        if value is not None and name != "memory_limit":
            text = str(value).replace("'", "''")
            connection.execute(f"SET {name} = '{text}'")


def require_time() -> None:
    """Raise `ComputeTimeoutError` where the deadline has passed: begin nothing more."""
    if deadline.remaining() <= 0:
        raise ComputeTimeoutError("no time left before this step")


@contextmanager
def interrupted_in_time(connection: DuckDBPyConnection) -> Iterator[None]:
    """Interrupt what runs on the connection before the deadline: CPU work heeds it, HTTP waits do not."""
    timer = threading.Timer(max(0.0, deadline.remaining() - 0.05), connection.interrupt)
    timer.name = "floe-duckdb-interrupt"
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
