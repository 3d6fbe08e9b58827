"""The BigQuery plugin: Google's credentials as dbt uses them, and free calls that end at the deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputePlugin
from floe_monitor.compute.plugin import FLOE_API_VERSION
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import ConnectionCache

if TYPE_CHECKING:
    from pydantic import BaseModel

    from floe_monitor.compute import ComputeConfig, ConnectionResult
    from floe_monitor_bigquery.sessions import Session

__version__ = "0.1.0"
__all__ = ["BigQueryComputePlugin", "__version__"]


class BigQueryComputePlugin(ComputePlugin):
    """One short HTTP session per validation, unless a target asks for a kept one."""

    def __init__(self) -> None:
        self._calls = BlockingCalls()
        self._keeper: ConnectionCache[Session] = ConnectionCache("bigquery")

    @property
    def name(self) -> str:
        return "bigquery"

    @property
    def version(self) -> str:
        return __version__

    @property
    def floe_api_version(self) -> str:
        return FLOE_API_VERSION

    @property
    def is_self_hosted(self) -> bool:
        return False

    @property
    def db_system_name(self) -> str:
        return "gcp.bigquery"

    @property
    def description(self) -> str:
        return "Google BigQuery"

    def prepare(self, config: ComputeConfig) -> None:
        from floe_monitor_bigquery.config import typed  # noqa: PLC0415 - work is left until needed
        from floe_monitor_bigquery.preparing import prepare  # noqa: PLC0415 - imports the driver

        prepare(typed(config))

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        from floe_monitor_bigquery.config import typed  # noqa: PLC0415
        from floe_monitor_bigquery.validating import validate  # noqa: PLC0415

        return validate(typed(config), self._calls, self._keeper)

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        from floe_monitor_bigquery.config import typed  # noqa: PLC0415
        from floe_monitor_bigquery.profile import generate  # noqa: PLC0415

        return generate(typed(config))

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_bigquery.profile import import_output  # noqa: PLC0415

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-bigquery>=1.8.0,<2"]

    def get_config_schema(self) -> type[BaseModel]:
        from floe_monitor_bigquery.config import BigQueryConfig  # noqa: PLC0415

        return BigQueryConfig

    def shutdown(self) -> None:
        self._keeper.close()
