"""The plugin: a few requests to a workspace's REST API for each validation."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_databricks.config import SECRETS, DatabricksConfig
from floe_monitor_databricks.profile import generate, import_output
from floe_monitor_databricks.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class DatabricksComputePlugin(NetworkPlugin[DatabricksConfig]):
    name = "databricks"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "Databricks: SQL warehouses and clusters, by the workspace's REST API"
    config_model = DatabricksConfig
    credential_keys = SECRETS
    adapter_type = "databricks"
    adapter = Adapter(("dbt-databricks>=1.8.0,<2",), generate, import_output)
    resource_keys = MappingProxyType({"host": ("host",), "warehouse": ("host", "http_path")})
    loads = ("floe_monitor_databricks.checks", "floe_monitor_databricks.connect", "encodings.idna")

    def prepare(self, config: DatabricksConfig) -> None:
        from floe_monitor_databricks.certificates import load_roots  # noqa: PLC0415 - loads when it is needed

        super().prepare(config)
        load_roots(config)

    def validate_connection(self, config: DatabricksConfig) -> ConnectionResult:
        from floe_monitor_databricks.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_databricks.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        return self.validate_by(
            connector,
            config,
            partial(examine, config, connector.log_in),
            f"dbt can work in schema {config.schema_!r} of catalog {config.catalog_name!r}",
        )
