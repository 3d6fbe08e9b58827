"""From a target to dbt-bigquery's output in profiles.yml, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    output_of,
    reference_of,
    secret_of,
    take_credentials,
    target_of,
    unknown_keys,
)
from floe_monitor.compute.toolkit.env_references import is_template
from floe_monitor_bigquery.config import MONITOR_ONLY, SECRETS, BigQueryConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_ORDER = (
    "method", "project", "database", "dataset", "schema", "threads",
    "keyfile", "keyfile_json", "token", "refresh_token", "client_id", "client_secret", "token_uri",
    "impersonate_service_account", "scopes", "execution_project", "quota_project", "location", "priority",
    "maximum_bytes_billed", "api_endpoint", "job_execution_timeout_seconds", "job_creation_timeout_seconds",
    "job_retries", "job_retry_deadline_seconds", "compute_region", "dataproc_cluster_name", "dataproc_batch",
    "gcs_bucket", "submission_method",
)  # fmt: skip
_KEYS_OF_OUTPUT = tuple(key for key in SECRETS if key != "private_key")
"""The secrets that are keys of an output; the private key stands within `keyfile_json`."""
_UNSET_ON_IMPORT = ("job_execution_timeout_seconds", "job_retries")
"""Keys that a new target writes by default; an imported profile without them stays without."""
_OLD_NAMES = {
    "timeout_seconds": "job_execution_timeout_seconds",
    "retries": "job_retries",
    "dataproc_region": "compute_region",
}
_NEVER = {
    "workload_pool_provider_path": "method external-oauth-wif is not supported",
    "service_account_impersonation_url": "method external-oauth-wif is not supported",
    "token_endpoint": "method external-oauth-wif is not supported",
}


def generate(config: BigQueryConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    defaults = {"job_execution_timeout_seconds": config.timeout_seconds}
    output = output_of(config, "bigquery", _ORDER, SECRETS, defaults)
    private_key = secret_of(config, "private_key")
    if private_key is not None:
        output["keyfile_json"] = {**output["keyfile_json"], "private_key": private_key}
    elif config.private_key is not None and not is_template(config.private_key):
        raise ComputeConfigurationError("keyfile_json.private_key belongs under `credentials`, by reference")
    return output


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again; dbt's old names become today's.

    Raises `ComputeConfigurationError` for a key dbt-bigquery would ignore, and for a literal secret.
    """
    connection = {key: value for key, value in connection_of(output).items() if value is not None}
    for old, new in _OLD_NAMES.items():
        if old in connection:
            if new in connection:
                raise ComputeConfigurationError(f"{old} and {new} are the same key to dbt: give one")
            connection[new] = connection.pop(old)
    credentials = take_credentials(connection, _KEYS_OF_OUTPUT)
    keyfile = connection.get("keyfile_json")
    if isinstance(keyfile, dict) and "private_key" in keyfile:
        credentials["private_key"] = reference_of("keyfile_json.private_key", keyfile["private_key"])
        connection["keyfile_json"] = {key: value for key, value in keyfile.items() if key != "private_key"}
    if not ("project" in connection or "database" in connection) and connection.get("method") != "oauth":
        raise ComputeConfigurationError("project is missing: dbt takes it from its environment; name it")
    _refuse_unknown(connection)
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)


def _refuse_unknown(connection: Mapping[str, Any]) -> None:
    unknown = unknown_keys(connection, BigQueryConfig, MONITOR_ONLY)
    for key in unknown:
        if key in _NEVER:
            raise ComputeConfigurationError(f"{key}: {_NEVER[key]}")
    if unknown:
        raise UnknownKeysError(f"dbt-bigquery has no key {', '.join(unknown)}: it ignores it", unknown)
