"""The plugin: AWS is asked where IAM is configured, then one short session for each validation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_redshift.config import SECRETS, RedshiftConfig
from floe_monitor_redshift.profile import generate, import_output
from floe_monitor_redshift.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class RedshiftComputePlugin(NetworkPlugin[RedshiftConfig]):
    name = "redshift"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "Amazon Redshift, clusters and serverless workgroups"
    config_model = RedshiftConfig
    credential_keys = SECRETS
    adapter_type = "redshift"
    adapter = Adapter(("dbt-redshift>=1.8.0,<2",), generate, import_output)
    db_system_name = "aws.redshift"
    loads = ("floe_monitor_redshift.checks", "floe_monitor_redshift.connect", "encodings.idna")

    def prepare(self, config: RedshiftConfig) -> None:
        from floe_monitor_redshift.tls import load_roots  # noqa: PLC0415 - loads when it is needed

        super().prepare(config)
        load_roots(config)

    def validate_connection(self, config: RedshiftConfig) -> ConnectionResult:
        from floe_monitor_redshift.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_redshift.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        if not connector.ask_aws():
            return connector.validation.result()
        message = f"dbt can work in schema {config.schema_!r} of database {config.database_name!r}"
        return self.validate_by(connector, config, partial(examine, config), message)
