"""The plugin: one short conversation with a server for each validation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import FLOE_API_VERSION
from floe_monitor.compute.toolkit.adapter_plugin import Adapter
from floe_monitor.compute.toolkit.network_plugin import NetworkPlugin
from floe_monitor_clickhouse.config import SECRETS, ClickHouseConfig
from floe_monitor_clickhouse.profile import generate, import_output
from floe_monitor_clickhouse.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import ConnectionResult


class ClickHouseComputePlugin(NetworkPlugin[ClickHouseConfig]):
    name = "clickhouse"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    description = "ClickHouse and ClickHouse Cloud, over HTTP or in the native protocol"
    config_model = ClickHouseConfig
    credential_keys = SECRETS
    adapter_type = "clickhouse"
    adapter = Adapter(("dbt-clickhouse>=1.9.0,<2",), generate, import_output)
    loads = (
        "floe_monitor_clickhouse.checks",
        "floe_monitor_clickhouse.cloud",
        "floe_monitor_clickhouse.connect",
        "encodings.idna",
    )

    def prepare(self, config: ClickHouseConfig) -> None:
        from floe_monitor_clickhouse.certificates import load_roots  # noqa: PLC0415 - loads when it is needed

        super().prepare(config)
        load_roots(config)

    def validate_connection(self, config: ClickHouseConfig) -> ConnectionResult:
        from floe_monitor_clickhouse.checks import examine  # noqa: PLC0415 - loads when it is needed
        from floe_monitor_clickhouse.cloud import ASLEEP, may_connect, note_waking  # noqa: PLC0415
        from floe_monitor_clickhouse.connect import Connector  # noqa: PLC0415

        connector = Connector(config, self.blocking_calls)
        if config.may_be_asleep:
            awake = False
            with connector.validation as validation:
                awake = may_connect(config, validation, self.blocking_calls, connector.deadline)
            if not awake:
                return connector.validation.result(ASLEEP)
        elif config.cloud_service_id is not None:
            with connector.validation:
                note_waking(config, self.blocking_calls, connector.deadline)
        return self.validate_by(
            connector,
            config,
            partial(examine, config),
            f"dbt can work in database {config.target_database!r}",
        )
