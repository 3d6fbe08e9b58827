"""From a target to dbt-snowflake's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
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
_REFERENCE = re.compile(r"""\s*\{\{-?\s*env_var\(\s*(['"])(\w+)\1\s*\)\s*-?\}\}\s*""")
_UNSET_ON_IMPORT = ("connect_retries", "connect_timeout", "client_session_keep_alive")
"""Keys that a new target writes by default; an imported profile without them stays without."""


def generate(config: SnowflakeConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given.

    Raises `ComputeConfigurationError` where there is nothing to log in with.
    """
    if config.lacks is not None:
        raise ComputeConfigurationError(config.lacks)
    output: dict[str, Any] = {"type": "snowflake"}
    for key in _KEYS:
        value = config.secret(key) if key in SECRETS else _value(config, key)
        if value is not None:
            output[key] = value
    return output


def _value(config: SnowflakeConfig, key: str) -> Any:
    field = "schema_" if key == "schema" else key
    if field in config.model_fields_set:
        return config.connection.get(key, getattr(config, field))
    return getattr(config, field)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a key dbt-snowflake would ignore or a daemon cannot use, and for a
    literal credential.
    """
    connection = {key: value for key, value in output.items() if key not in {"type", "threads"}}
    credentials = {
        key: _reference(key, value)
        for key in SECRETS
        if (value := connection.pop(key, None)) not in {None, ""}
    }
    for key in ("oauth_client_id", "oauth_client_secret"):
        if key in connection:
            raise ComputeConfigurationError(
                f"{key}: a probe that traded dbt's refresh token might use it up: give an access token"
            )
    unknown = sorted(str(key) for key in connection if key not in _KEYS)
    if unknown:
        raise ComputeConfigurationError(f"no use for {', '.join(unknown)} in a Snowflake target")
    connection = {key: value for key, value in connection.items() if value is not None}
    connection |= dict.fromkeys(key for key in _UNSET_ON_IMPORT if key not in connection)
    found: dict[str, Any] = {"threads": output.get("threads", 1), "connection": connection}
    return {**found, "credentials": credentials} if credentials else found


def _reference(key: str, value: object) -> dict[str, str]:
    found = _REFERENCE.fullmatch(str(value))
    if found is None:
        raise ComputeConfigurationError(
            f"{key} is no plain {{{{ env_var('NAME') }}}}: put it in an environment variable and name that"
        )
    return {"env": found[2]}
