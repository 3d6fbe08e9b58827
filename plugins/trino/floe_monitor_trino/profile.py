"""From a target to dbt-trino's output in profiles.yml, and back."""

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
from floe_monitor_trino.config import (
    LOGIN_METHODS,
    MONITOR_ONLY,
    SECRETS,
    TrinoConfig,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = (
    "method", "host", "port", "http_scheme", "user", "password", "impersonation_user", "jwt_token",
    "client_certificate", "client_private_key", "database", "catalog", "schema", "threads", "roles", "cert",
    "http_headers", "client_tags", "session_properties", "prepared_statements_enabled", "retries", "timezone",
    "suppress_cert_warning", "starburst_url", "starburst_client_id", "starburst_secret_key",
    "starburst_metadata_failure_strategy", "starburst_max_column_batch_size",
)  # fmt: skip
_UNSET_ON_IMPORT = ("cert", "session_properties")
"""Keys that a new target writes by default; an imported profile without them stays without."""


def generate(config: TrinoConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    defaults = {"session_properties": config.properties}
    output = output_of(config, "trino", _KEYS, SECRETS, defaults)
    if config.scheme == "http" and "cert" not in config.model_fields_set:
        output.pop("cert")  # the default of a new target: over HTTP there is none to verify
    return output


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a method that a probe cannot use and for a literal secret, and
    `UnknownKeysError` for keys that dbt-trino ignores.
    """
    method = output.get("method", "none")
    LOGIN_METHODS.require_importable(method)
    connection = connection_of(output)
    ignored = unknown_keys(connection, TrinoConfig, MONITOR_ONLY)
    unknown = sorted({*ignored} - set(SECRETS) | {*_of_another(method, connection)})
    if unknown:
        raise UnknownKeysError(f"dbt-trino has no use for {', '.join(unknown)} with method {method}", unknown)
    credentials = take_credentials(connection, SECRETS)
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)


def _of_another(method: Any, connection: Mapping[str, Any]) -> frozenset[str]:
    """Keys of another method's login: dbt-trino ignores them."""
    return LOGIN_METHODS.keys_of_others(method).intersection(connection)
