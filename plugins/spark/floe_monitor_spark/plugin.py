"""The plugin: one short session per validation, unless a target asks for a kept one."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.connection_cache import reusing
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_spark.config import SECRET_KEYS, SparkConfig
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

    def prepare(self, config: SparkConfig) -> None:
        # The driver, and what Python imports where it looks up a name, or who runs it (not on Windows).
        for module in ("floe_monitor_spark.checks", "floe_monitor_spark.connect", "encodings.idna", "pwd"):
            import_module(module)
        if config.user is None:
            from floe_monitor_spark.connect import system_user  # noqa: PLC0415 - imports the driver

            system_user()

    def validate_connection(self, config: SparkConfig) -> ConnectionResult:
        from floe_monitor_spark.checks import examine  # noqa: PLC0415 - the driver loads with it
        from floe_monitor_spark.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        with connector.validation as validation:
            connector.find_route()
            reusing(
                self.connections,
                connector.key,
                config,
                validation,
                connector.deadline,
                held=connector.steps,
                connect=connector.connect,
                examine=partial(examine, config, connector.user, validation),
            )
        return validation.result(f"dbt can work in schema {config.schema_!r}")

    def generate_dbt_profile(self, config: SparkConfig) -> dict[str, Any]:
        from floe_monitor_spark.profile import generate  # noqa: PLC0415 - loads when it is needed

        return generate(config)

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_spark.profile import import_output  # noqa: PLC0415 - loads when it is needed

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-spark[PyHive]>=1.8.0,<2", "PyHive[hive-pure-sasl]>=0.7.0,<0.8"]
