"""floe-monitor: watches the compute engines under a dbt platform and tells the truth about their health."""

__version__ = "0.1.0"
