"""The plugin: one short HTTP session per validation, unless a target asks for a kept one."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_bigquery.config import SECRETS, BigQueryConfig
from floe_monitor_bigquery.profile import generate, import_output
from floe_monitor_bigquery.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class BigQueryComputePlugin(NetworkPlugin[BigQueryConfig]):
    name = "bigquery"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "Google BigQuery"
    config_model = BigQueryConfig
    credential_keys = SECRETS
    adapter_type = "bigquery"
    adapter = Adapter(("dbt-bigquery>=1.8.0,<2",), generate, import_output)
    db_system_name = "gcp.bigquery"
    loads = ("floe_monitor_bigquery.checks",)
    resource_keys = MappingProxyType({"host": ("api_endpoint",), "warehouse": ("project",)})

    def prepare(self, config: BigQueryConfig) -> None:
        from floe_monitor_bigquery.connect import prepare  # noqa: PLC0415 - imports the driver

        super().prepare(config)
        prepare(config)

    def validate_connection(self, config: BigQueryConfig) -> ConnectionResult:
        from floe_monitor_bigquery.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_bigquery.connect import Connector  # noqa: PLC0415 - the driver loads with it

        connector = Connector(config, self.blocking_calls)
        with connector.validation as validation:
            connector.read_credentials()
            with connector.session(self.connections) as api:
                if whole := connector.judgeable():
                    examine(whole, validation, api, connector.deadline)
        return validation.result(f"dbt can work in dataset {config.dataset_name!r}")
