"""The Snowflake plugin: asks what dbt needs to know, with statements that start no warehouse."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputePlugin
from floe_monitor.compute.plugin import FLOE_API_VERSION
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import ConnectionCache

if TYPE_CHECKING:
    from pydantic import BaseModel

    from floe_monitor.compute import ComputeConfig, ConnectionResult
    from floe_monitor_snowflake.session import Session

__version__ = "0.1.0"
__all__ = ["SnowflakeComputePlugin", "__version__"]


class SnowflakeComputePlugin(ComputePlugin):
    """One short session per validation, unless a target asks for a kept one."""

    def __init__(self) -> None:
        from floe_monitor_snowflake.bounding import Bounded  # noqa: PLC0415 - work is left until needed

        # The driver asks the cloud's metadata service where it runs, at its first login; this variable of its
        # own is the only switch, and only its driver reads it.
        os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
        self._calls = BlockingCalls()
        self._bounded = Bounded()
        self._keeper: ConnectionCache[Session] = ConnectionCache("snowflake")

    @property
    def name(self) -> str:
        return "snowflake"

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
    def description(self) -> str:
        return "Snowflake, with statements that need no warehouse"

    def prepare(self, config: ComputeConfig) -> None:  # noqa: ARG002 - the same for all
        import floe_monitor_snowflake.validating  # noqa: F401, PLC0415 - imports the driver

    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        from floe_monitor_snowflake.config import typed  # noqa: PLC0415
        from floe_monitor_snowflake.validating import validate  # noqa: PLC0415

        return validate(typed(config), self._calls, self._bounded, self._keeper)

    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        from floe_monitor_snowflake.config import typed  # noqa: PLC0415
        from floe_monitor_snowflake.profile import generate  # noqa: PLC0415

        return generate(typed(config))

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        from floe_monitor_snowflake.profile import import_output  # noqa: PLC0415

        return import_output(output)

    def get_required_dbt_packages(self) -> list[str]:
        return ["dbt-snowflake>=1.8.0,<2"]

    def get_config_schema(self) -> type[BaseModel]:
        from floe_monitor_snowflake.config import SnowflakeConfig  # noqa: PLC0415

        return SnowflakeConfig

    def shutdown(self) -> None:
        self._keeper.close()
