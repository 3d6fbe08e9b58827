"""From a target to dbt-clickhouse's output in profiles.yml, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    output_of,
    take_credentials,
    target_of,
    unknown_keys,
)
from floe_monitor_clickhouse.config import MONITOR_ONLY, ClickHouseConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECRETS = ("password",)
_KEYS = (
    "driver", "host", "port", "user", "password", "database", "schema", "threads", "cluster", "cluster_mode",
    "database_engine", "secure", "verify", "client_cert", "client_cert_key", "server_host_name",
    "connect_timeout", "send_receive_timeout", "sync_request_timeout", "retries", "compression",
    "compress_block_size", "check_exchange", "custom_settings", "use_lw_deletes",
    "allow_automatic_deduplication", "tcp_keepalive", "reuse_connections", "local_suffix", "local_db_prefix",
)  # fmt: skip
_UNSET_ON_IMPORT = ("send_receive_timeout",)
"""A key that a new target writes by default; an imported profile without it stays without."""


def generate(config: ClickHouseConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    defaults: dict[str, Any] = {"schema": config.target_database}
    if "send_receive_timeout" not in config.model_fields_set:
        defaults["send_receive_timeout"] = config.timeout_seconds
    return output_of(config, "clickhouse", _KEYS, _SECRETS, defaults)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a literal secret, `UnknownKeysError` for keys that dbt ignores.
    """
    connection = connection_of(output)
    ignored = unknown_keys(connection, ClickHouseConfig, MONITOR_ONLY)
    unknown = sorted({*ignored} - set(_SECRETS))
    if unknown:
        raise UnknownKeysError(f"dbt-clickhouse has no use for {', '.join(unknown)}", unknown)
    credentials = take_credentials(connection, _SECRETS)
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)
