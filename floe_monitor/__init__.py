"""floe-monitor: watches the compute engines under a dbt platform and reports their health."""

__version__ = "0.1.0"
