"""The Spark plugin: speaks HiveServer2's protocol, as dbt-spark does, but never waits past its deadline."""

from floe_monitor_spark.plugin import SparkComputePlugin
from floe_monitor_spark.version import __version__

__all__ = ["SparkComputePlugin", "__version__"]
