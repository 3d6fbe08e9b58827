"""The plugin: one short connection per validation, unless a target asks for a kept one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import FLOE_API_VERSION, ComputeConfig
from floe_monitor.compute.toolkit.connection_cache import reusing
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_postgres.config import PASSWORD_KEYS, PostgresConfig
from floe_monitor_postgres.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class PostgresComputePlugin(NetworkPlugin[PostgresConfig]):
    name = "postgres"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "PostgreSQL, and servers that speak its protocol"
    config_model = PostgresConfig
    credential_keys = PASSWORD_KEYS
    adapter_type = "postgres"
    db_system_name = "postgresql"

    def prepare(self, config: ComputeConfig) -> None:  # noqa: ARG002 - the same for all
        import floe_monitor_postgres.connect  # noqa: F401, PLC0415 - imports the driver

    def validate_connection(self, config: PostgresConfig) -> ConnectionResult:
        from floe_monitor_postgres.checks import examine  # noqa: PLC0415 - the driver loads with it
        from floe_monitor_postgres.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        with connector.validation as validation:
            connector.read_parameters()
            reusing(
                self.connections,
                connector.key,
                config,
                validation,
                connector.deadline,
                held=connector.steps,
                connect=connector.connect,
                examine=partial(examine, config, validation),
            )
        return validation.result(f"dbt can work in schema {config.schema_!r}")

    def generate_dbt_profile(self, config: PostgresConfig) -> dict[str, Any]:
        from floe_monitor_postgres.profile import generate  # noqa: PLC0415 - loads when it is needed

        return generate(config)

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_postgres.profile import import_output  # noqa: PLC0415 - loads when it is needed

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-postgres>=1.8.0,<2"]
