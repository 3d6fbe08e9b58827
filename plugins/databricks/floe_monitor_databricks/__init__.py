"""The Databricks plugin: asks a workspace's REST API what dbt needs to know, and starts no compute."""

from floe_monitor_databricks.plugin import DatabricksComputePlugin
from floe_monitor_databricks.version import __version__

__all__ = ["DatabricksComputePlugin", "__version__"]
