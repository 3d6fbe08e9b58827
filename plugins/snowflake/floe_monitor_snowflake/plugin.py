"""The plugin: one short session per validation, unless a target asks for a kept one."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.driver_thread import DriverThreads
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_snowflake.config import SECRETS, SnowflakeConfig
from floe_monitor_snowflake.profile import generate, import_output
from floe_monitor_snowflake.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class SnowflakeComputePlugin(NetworkPlugin[SnowflakeConfig]):
    name = "snowflake"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "Snowflake, with statements that need no warehouse"
    config_model = SnowflakeConfig
    credential_keys = SECRETS
    adapter_type = "snowflake"
    adapter = Adapter(("dbt-snowflake>=1.8.0,<2",), generate, import_output)
    loads = ("floe_monitor_snowflake.checks", "floe_monitor_snowflake.connect")
    resource_keys = MappingProxyType({"host": ("account",), "warehouse": ("account", "warehouse")})
    # Without it the driver asks the metadata services of three clouds, and Amazon's STS, where it runs. It
    # reads the variable at its first login, on a thread of its own; no argument and no file says the same
    # (`platform_detection_timeout_seconds` is accepted and ignored).
    process_environment = MappingProxyType({"SNOWFLAKE_DISABLE_PLATFORM_DETECTION": "true"})

    def __init__(self) -> None:
        super().__init__()
        self.driver_threads = DriverThreads("snowflake-session")

    def validate_connection(self, config: SnowflakeConfig) -> ConnectionResult:
        from floe_monitor_snowflake.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_snowflake.connect import Connector  # noqa: PLC0415 - the driver loads with it

        connector = Connector(config, self.blocking_calls, self.driver_threads)
        return self.validate_by(
            connector,
            config,
            partial(examine, config),
            f"dbt can work in schema {config.schema_!r} of database {config.database!r}",
        )
