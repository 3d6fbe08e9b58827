"""The Postgres plugin: speaks libpq, as dbt-postgres does, but never waits longer than its deadline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputePlugin
from floe_monitor.compute.plugin import FLOE_API_VERSION
from floe_monitor.compute.toolkit.blocking_calls import Asides
from floe_monitor.compute.toolkit.connection_cache import Keeper

if TYPE_CHECKING:
    from pydantic import BaseModel

    from floe_monitor.compute import ComputeConfig, ConnectionResult
    from floe_monitor_postgres.wire import Session

__version__ = "0.1.0"
__all__ = ["PostgresComputePlugin", "__version__"]


class PostgresComputePlugin(ComputePlugin):
    """One short connection per validation, unless a target asks for a kept one."""

    def __init__(self) -> None:
        self._asides = Asides()
        self._keeper: Keeper[Session] = Keeper("postgres")

    @property
    def name(self) -> str:
        return "postgres"

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
        return "postgresql"

    @property
    def description(self) -> str:
        return "PostgreSQL, and servers that speak its protocol"

    def prepare(self, config: ComputeConfig) -> None:  # noqa: ARG002 - the same for all
        import floe_monitor_postgres.validating  # noqa: F401, PLC0415 - imports the driver

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        from floe_monitor_postgres.config import typed  # noqa: PLC0415 - work is left until needed
        from floe_monitor_postgres.validating import validate  # noqa: PLC0415

        return validate(typed(config), self._asides, self._keeper)

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        from floe_monitor_postgres.config import typed  # noqa: PLC0415
        from floe_monitor_postgres.profile import generate  # noqa: PLC0415

        return generate(typed(config))

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_postgres.profile import import_output  # noqa: PLC0415

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-postgres>=1.8.0,<2"]

    def get_config_schema(self) -> type[BaseModel]:
        from floe_monitor_postgres.config import PostgresConfig  # noqa: PLC0415

        return PostgresConfig

    def shutdown(self) -> None:
        self._keeper.close()
