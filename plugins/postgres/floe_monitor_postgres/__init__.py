"""The Postgres plugin: speaks libpq, as dbt-postgres does, but never waits longer than its deadline."""

from floe_monitor_postgres.plugin import PostgresComputePlugin
from floe_monitor_postgres.version import __version__

__all__ = ["PostgresComputePlugin", "__version__"]
