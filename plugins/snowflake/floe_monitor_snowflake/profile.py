"""From a target to dbt-snowflake's output in profiles.yml, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.connection_cache import MONITOR_ONLY
from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    output_of,
    take_credentials,
    target_of,
    unknown_keys,
)
from floe_monitor_snowflake.config import SECRETS, SnowflakeConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = (
    "account", "host", "port", "protocol", "user", "authenticator", *SECRETS, "private_key_path",
    "role", "warehouse", "database", "schema", "threads", "client_session_keep_alive",
    "connect_retries", "connect_timeout", "retry_on_database_errors", "retry_all", "reuse_connections",
    "query_tag", "proxy_host", "proxy_port", "insecure_mode", "s3_stage_vpce_dns_name",
    "platform_detection_timeout_seconds",
)  # fmt: skip
_UNSET_ON_IMPORT = ("connect_retries", "connect_timeout", "client_session_keep_alive")
"""Keys that a new target writes by default; an imported profile without them stays without."""


def generate(config: SnowflakeConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given.

    Raises `ComputeConfigurationError` where there is nothing to log in with.
    """
    if config.lacks is not None:
        raise ComputeConfigurationError(config.lacks)
    return output_of(config, "snowflake", _KEYS, SECRETS)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a key dbt-snowflake would ignore or a daemon cannot use, and for a
    literal credential.
    """
    connection = connection_of(output)
    credentials = take_credentials(connection, SECRETS)
    for key in ("oauth_client_id", "oauth_client_secret"):
        if key in connection:
            raise ComputeConfigurationError(
                f"{key}: a probe that traded dbt's refresh token might use it up: give an access token"
            )
    if unknown := unknown_keys(connection, SnowflakeConfig, MONITOR_ONLY):
        raise UnknownKeysError(f"no use for {', '.join(unknown)} in a Snowflake target", unknown)
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)
