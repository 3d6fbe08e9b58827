"""The DuckDB compute plugin of floe-monitor."""

from floe_monitor_duckdb.plugin import DuckDBComputePlugin

__version__ = "0.1.0"

__all__ = ["DuckDBComputePlugin"]
