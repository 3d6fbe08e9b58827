"""The plugin: one short connection per validation, unless a target asks for a kept one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_postgres.config import PASSWORD_KEYS, PostgresConfig
from floe_monitor_postgres.profile import generate, import_output
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
    adapter = Adapter(("dbt-postgres>=1.8.0,<2",), generate, import_output)
    db_system_name = "postgresql"
    loads = ("floe_monitor_postgres.checks", "floe_monitor_postgres.connect")

    def validate_connection(self, config: PostgresConfig) -> ConnectionResult:
        from floe_monitor_postgres.checks import examine  # noqa: PLC0415 - the driver loads with it
        from floe_monitor_postgres.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        return self.validate_by(
            connector,
            config,
            partial(examine, config),
            f"dbt can work in schema {config.schema_!r}",
        )
