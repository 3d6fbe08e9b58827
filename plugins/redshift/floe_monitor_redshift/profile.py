"""From a target to dbt-redshift's output in profiles.yml, and back."""

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
from floe_monitor_redshift.config import (
    LOGIN_METHODS,
    MONITOR_ONLY,
    SECRETS,
    RedshiftConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = (
    "method", "host", "port", "user", "password", "pass", "dbname", "database", "schema", "threads",
    "sslmode", "cluster_id", "region", "iam_profile", "access_key_id", "secret_access_key", "autocreate",
    "db_groups", "is_serverless", "serverless_work_group", "serverless_acct_id", "role", "query_group",
    "ra3_node", "datasharing", "connect_timeout", "retries", "retry_all", "autocommit", "tcp_keepalive",
    "tcp_keepalive_idle", "tcp_keepalive_interval", "tcp_keepalive_count", "allow_concurrent_drops",
    "drop_without_cascade",
)  # fmt: skip
_OF_IDENTITY_CENTER = frozenset(
    {
        "idc_region", "issuer_url", "idp_listen_port", "idc_client_display_name", "idp_response_timeout",
        "token_endpoint",
    }
)  # fmt: skip


def generate(config: RedshiftConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    return output_of(config, "redshift", _KEYS, SECRETS)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a method that a probe cannot use and for a literal secret, and
    `UnknownKeysError` for keys that dbt-redshift reads past.
    """
    method = output.get("method") or "database"
    LOGIN_METHODS.require_importable(method)
    connection = connection_of(output)
    ignored = set(unknown_keys(connection, RedshiftConfig, MONITOR_ONLY)) - set(SECRETS)
    unknown = sorted(ignored | _of_another(method, connection))
    if unknown:
        raise UnknownKeysError(
            f"dbt-redshift has no use for {', '.join(unknown)} with method {method}", unknown
        )
    credentials = take_credentials(connection, SECRETS)
    return target_of(output, connection, credentials)


def _of_another(method: Any, connection: Mapping[str, Any]) -> set[str]:
    """Keys of another method's login that have a value: dbt-redshift reads past them."""
    login = LOGIN_METHODS.keys_of_others(method)
    return {key for key in login | _OF_IDENTITY_CENTER if connection.get(key)}
