"""The plugin: one short conversation with a coordinator for each validation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_trino.config import SECRETS, TrinoConfig
from floe_monitor_trino.profile import generate, import_output
from floe_monitor_trino.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class TrinoComputePlugin(NetworkPlugin[TrinoConfig]):
    name = "trino"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "Trino and Starburst, by Trino's client protocol"
    config_model = TrinoConfig
    credential_keys = SECRETS
    adapter_type = "trino"
    adapter = Adapter(("dbt-trino>=1.8.0,<2",), generate, import_output)
    loads = ("floe_monitor_trino.checks", "floe_monitor_trino.connect", "encodings.idna")

    def prepare(self, config: TrinoConfig) -> None:
        from floe_monitor_trino.certificates import load_roots  # noqa: PLC0415 - loads when it is needed

        super().prepare(config)
        load_roots(config)

    def validate_connection(self, config: TrinoConfig) -> ConnectionResult:
        from floe_monitor_trino.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_trino.connect import Connector  # noqa: PLC0415

        return self.validate_by(
            Connector(config, self.blocking_calls),
            config,
            partial(examine, config),
            f"dbt can work in schema {config.schema_!r} of catalog {config.catalog_name!r}",
        )
