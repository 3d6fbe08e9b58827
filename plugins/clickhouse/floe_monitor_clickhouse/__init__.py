"""The ClickHouse plugin: asks what dbt needs to know, in statements that write nothing."""

from floe_monitor_clickhouse.plugin import ClickHouseComputePlugin
from floe_monitor_clickhouse.version import __version__

__all__ = ["ClickHouseComputePlugin", "__version__"]
