"""The Spark plugin: speaks HiveServer2's protocol, as dbt-spark does, but never waits past its deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputePlugin
from floe_monitor.compute.plugin import FLOE_API_VERSION

if TYPE_CHECKING:
    from pydantic import BaseModel

    from floe_monitor.compute import ComputeConfig, ConnectionResult

__version__ = "0.1.0"
__all__ = ["SparkComputePlugin", "__version__"]


class SparkComputePlugin(ComputePlugin):
    """One short session per validation."""

    def __init__(self) -> None:
        from floe_monitor_spark.leaving import Calls  # noqa: PLC0415 - work is left until needed

        self._calls = Calls()

    @property
    def name(self) -> str:
        return "spark"

    @property
    def version(self) -> str:
        return __version__

    @property
    def floe_api_version(self) -> str:
        return FLOE_API_VERSION

    @property
    def is_self_hosted(self) -> bool:
        return True

    @property
    def description(self) -> str:
        return "Apache Spark behind its Thrift server, and Databricks clusters over HTTPS"

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        from floe_monitor_spark.config import typed  # noqa: PLC0415
        from floe_monitor_spark.validating import validate  # noqa: PLC0415 - imports the driver

        return validate(typed(config), self._calls)

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        from floe_monitor_spark.config import typed  # noqa: PLC0415
        from floe_monitor_spark.profile import generate  # noqa: PLC0415

        return generate(typed(config))

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_spark.profile import import_output  # noqa: PLC0415

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-spark[PyHive]>=1.8.0,<2", "PyHive[hive-pure-sasl]>=0.7.0,<0.8"]

    def get_config_schema(self) -> type[BaseModel]:
        from floe_monitor_spark.config import SparkConfig  # noqa: PLC0415

        return SparkConfig
