"""From a target to dbt-databricks' output in profiles.yml, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    output_of,
    take_credentials,
    target_of,
    unknown_keys,
)
from floe_monitor_databricks.config import BROWSER, MONITOR_ONLY, SECRETS, DatabricksConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = (
    "host", "http_path", "database", "catalog", "schema", "token", "auth_type", "client_id", "client_secret",
    "azure_client_id", "azure_client_secret", "oidc_token_filepath", "oauth_redirect_url", "oauth_scopes",
    "threads", "session_properties", "connection_parameters", "compute", "query_tags", "connect_retries",
    "connect_timeout", "retry_all", "connect_max_idle",
)  # fmt: skip


def generate(config: DatabricksConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    return output_of(config, "databricks", _KEYS, SECRETS, {"session_properties": config.properties})


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a login that a probe cannot use and for a literal secret, and
    `UnknownKeysError` for keys that dbt-databricks ignores.
    """
    connection = connection_of(output)
    unknown = [key for key in unknown_keys(connection, DatabricksConfig, MONITOR_ONLY) if key not in SECRETS]
    if unknown:
        raise UnknownKeysError(f"dbt-databricks has no use for {', '.join(unknown)}", unknown)
    credentials = take_credentials(connection, SECRETS)
    if not credentials and connection.get("auth_type") == "oauth":
        raise ComputeConfigurationError(BROWSER)
    return target_of(output, connection, credentials, ("session_properties",))
