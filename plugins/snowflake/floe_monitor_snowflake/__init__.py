"""The Snowflake plugin: asks what dbt needs to know, with statements that start no warehouse."""

from floe_monitor_snowflake.plugin import SnowflakeComputePlugin
from floe_monitor_snowflake.version import __version__

__all__ = ["SnowflakeComputePlugin", "__version__"]
