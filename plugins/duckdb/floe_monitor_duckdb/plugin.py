"""The plugin: the user's file is never opened by DuckDB, so no lock is ever taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from floe_monitor.compute import FLOE_API_VERSION, Validation
from floe_monitor.compute.toolkit.adapter_plugin import Adapter, AdapterPlugin
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor_duckdb.config import CREDENTIAL_KEYS, DuckDBConfig
from floe_monitor_duckdb.errors import classify
from floe_monitor_duckdb.iceberg.token_cache import TokenCache
from floe_monitor_duckdb.profile import generate, import_output
from floe_monitor_duckdb.version import __version__

if TYPE_CHECKING:
    from floe_monitor.compute import CatalogConfig, ConnectionResult


class DuckDBComputePlugin(AdapterPlugin[DuckDBConfig]):
    """DuckDB in memory or in a file, and the Iceberg catalogs that it attaches."""

    name = "duckdb"
    version = __version__
    floe_api_version = FLOE_API_VERSION
    is_self_hosted = True
    description = "DuckDB, in memory or in a file, by an in-process engine"
    config_model = DuckDBConfig
    credential_keys = CREDENTIAL_KEYS
    adapter_type = "duckdb"
    adapter = Adapter(("dbt-duckdb>=1.9.0", "duckdb>=1.4.0,<3"), generate, import_output)
    db_system_name = "duckdb"

    def __init__(self) -> None:
        self._tokens = TokenCache()
        self._calls = BlockingCalls()

    def get_default_isolation(self, config: DuckDBConfig) -> Literal["thread", "process"]:
        """Loading the extension of Iceberg costs 0.2 to 0.4 s of CPU at every probe, partly under Python's
        interpreter lock: in the daemon, every other target's result would wait for it. And nothing in DuckDB
        ends a chain that waits for a cloud's metadata service."""
        costly = config.asks_chain or any(entry.is_iceberg for entry in config.attach)
        return "process" if costly else "thread"

    def prepare(self, config: DuckDBConfig) -> None:
        import duckdb  # noqa: F401, PLC0415 - the driver is imported only when used

        from floe_monitor_duckdb.connect import install_extensions  # noqa: PLC0415 - loads when it is needed

        if config.catalogs():
            import floe_monitor_duckdb.iceberg.checks  # noqa: F401, PLC0415 - HTTP and TLS load with it
        install_extensions(config)

    def validate_connection(self, config: DuckDBConfig) -> ConnectionResult:
        from floe_monitor_duckdb.checks import examine  # noqa: PLC0415 - loads when it is needed

        with Validation(classify, config.secret_values()) as validation:
            examine(config, validation, self._tokens, self._calls)
        return validation.result(
            "in-memory engine answers" if config.is_memory else "file is sound, engine answers"
        )

    def get_catalog_attachment_sql(self, catalog_config: CatalogConfig) -> list[str]:
        from floe_monitor_duckdb.iceberg.catalog_config import attachment_sql  # noqa: PLC0415 - as above

        return attachment_sql(catalog_config)

    def get_catalog_configs(self, config: DuckDBConfig) -> list[CatalogConfig]:
        from floe_monitor_duckdb.iceberg.catalog_config import catalog_configs  # noqa: PLC0415 - as above

        return catalog_configs(config.catalogs(), config.all_secrets())
