"""The Spark plugin: speaks HiveServer2's protocol, as dbt-spark does, but never waits past its deadline."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputePlugin
from floe_monitor.compute.plugin import FLOE_API_VERSION
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import ConnectionCache

if TYPE_CHECKING:
    from pydantic import BaseModel

    from floe_monitor.compute import ComputeConfig, ConnectionResult
    from floe_monitor_spark.keeping import Channel

__version__ = "0.1.0"
__all__ = ["SparkComputePlugin", "__version__"]


class SparkComputePlugin(ComputePlugin):
    """One short session per validation, unless a target asks for a kept one."""

    def __init__(self) -> None:
        self._calls = BlockingCalls()
        self._keeper: ConnectionCache[Channel] = ConnectionCache("spark")

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

    def prepare(self, config: ComputeConfig) -> None:  # noqa: ARG002 - the same for all
        # The driver, and what Python imports where it looks up a name, or who runs it (not on Windows).
        for module in ("floe_monitor_spark.validating", "encodings.idna", "pwd"):
            import_module(module)

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        from floe_monitor_spark.config import typed  # noqa: PLC0415 - work is left until needed
        from floe_monitor_spark.validating import validate  # noqa: PLC0415

        return validate(typed(config), self._calls, self._keeper)

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

    def shutdown(self) -> None:
        self._keeper.close()
