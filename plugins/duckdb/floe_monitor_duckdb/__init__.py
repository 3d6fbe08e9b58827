"""The DuckDB compute plugin of floe-monitor."""

__version__ = "0.1.0"
