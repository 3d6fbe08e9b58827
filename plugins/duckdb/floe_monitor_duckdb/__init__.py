"""The DuckDB plugin: in memory, in files and on Iceberg catalogs, without ever taking a lock on a file."""

from floe_monitor_duckdb.plugin import DuckDBComputePlugin
from floe_monitor_duckdb.version import __version__

__all__ = ["DuckDBComputePlugin", "__version__"]
