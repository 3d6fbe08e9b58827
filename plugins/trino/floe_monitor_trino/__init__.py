"""The Trino plugin: asks what dbt needs to know, in statements that write nothing."""

from floe_monitor_trino.plugin import TrinoComputePlugin
from floe_monitor_trino.version import __version__

__all__ = ["TrinoComputePlugin", "__version__"]
