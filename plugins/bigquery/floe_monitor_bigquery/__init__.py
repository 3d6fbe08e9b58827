"""The BigQuery plugin: Google's credentials as dbt uses them, and free calls that end at the deadline."""

from floe_monitor_bigquery.plugin import BigQueryComputePlugin
from floe_monitor_bigquery.version import __version__

__all__ = ["BigQueryComputePlugin", "__version__"]
