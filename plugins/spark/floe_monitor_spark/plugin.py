"""The plugin: one short session per validation, unless a target asks for a kept one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_spark.config import SECRET_KEYS, SparkConfig
from floe_monitor_spark.profile import generate, import_output
from floe_monitor_spark.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class SparkComputePlugin(NetworkPlugin[SparkConfig]):
    name = "spark"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    is_self_hosted = True
    description = "Apache Spark behind its Thrift server, and Databricks clusters over HTTPS"
    config_model = SparkConfig
    credential_keys = SECRET_KEYS
    adapter_type = "spark"
    # The driver, and what Python imports where it looks up a name, or who runs it (not on Windows).
    loads = ("floe_monitor_spark.checks", "floe_monitor_spark.connect", "encodings.idna", "pwd")
    adapter = Adapter(
        ("dbt-spark[PyHive]>=1.8.0,<2", "PyHive[hive-pure-sasl]>=0.7.0,<0.8"), generate, import_output
    )

    def prepare(self, config: SparkConfig) -> None:
        super().prepare(config)
        if config.user is None:
            from floe_monitor_spark.connect import system_user  # noqa: PLC0415 - imports the driver

            system_user()

    def validate_connection(self, config: SparkConfig) -> ConnectionResult:
        from floe_monitor_spark.checks import examine  # noqa: PLC0415 - the driver loads with it
        from floe_monitor_spark.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        return self.validate_by(
            connector,
            config,
            lambda validation, session: examine(config, connector.user, validation, session),
            f"dbt can work in schema {config.schema_!r}",
        )
