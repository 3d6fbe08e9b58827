"""The Amazon Redshift plugin: logs in as dbt-redshift does and asks what dbt needs to know."""

from floe_monitor_redshift.plugin import RedshiftComputePlugin
from floe_monitor_redshift.version import __version__

__all__ = ["RedshiftComputePlugin", "__version__"]
