"""From a target to dbt-bigquery's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
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
_REFERENCE = re.compile(r"""\s*\{\{-?\s*env_var\(\s*(['"])(\w+)\1\s*\)\s*-?\}\}\s*""")
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
    output: dict[str, Any] = {"type": "bigquery"}
    for key in _ORDER:
        value = config.secret(key) if key in SECRETS else _value(config, key)
        if value is not None:
            output[key] = value
    private_key = config.secret("private_key")
    if private_key is None and config.private_key is not None and "{{" not in config.private_key:
        raise ComputeConfigurationError("keyfile_json.private_key belongs under `credentials`, by reference")
    if private_key is not None:
        output["keyfile_json"] = {**output["keyfile_json"], "private_key": private_key}
    return output


def _value(config: BigQueryConfig, key: str) -> Any:
    field = "schema_" if key == "schema" else key
    if field in config.model_fields_set:
        return config.connection.get(key, getattr(config, field))
    if key == "job_execution_timeout_seconds":
        return config.timeout_seconds
    return getattr(config, field)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again; dbt's old names become today's.

    Raises `ComputeConfigurationError` for a key dbt-bigquery would ignore, and for a literal secret.
    """
    connection = {
        key: value for key, value in output.items() if key not in {"type", "threads"} and value is not None
    }
    for old, new in _OLD_NAMES.items():
        if old in connection:
            if new in connection:
                raise ComputeConfigurationError(f"{old} and {new} are the same key to dbt: give one")
            connection[new] = connection.pop(old)
    credentials: dict[str, Any] = {}
    for key in SECRETS:
        if key in connection and key != "private_key":
            credentials[key] = _reference(key, connection.pop(key))
    keyfile = connection.get("keyfile_json")
    if isinstance(keyfile, dict) and "private_key" in keyfile:
        credentials["private_key"] = _reference("keyfile_json.private_key", keyfile["private_key"])
        connection["keyfile_json"] = {key: value for key, value in keyfile.items() if key != "private_key"}
    if not ("project" in connection or "database" in connection):
        raise ComputeConfigurationError("project is missing: dbt takes it from its environment; name it")
    _refuse_unknown(connection)
    connection |= dict.fromkeys(key for key in _UNSET_ON_IMPORT if key not in connection)
    found: dict[str, Any] = {"threads": output.get("threads", 1), "connection": connection}
    return {**found, "credentials": credentials} if credentials else found


def _refuse_unknown(connection: Mapping[str, Any]) -> None:
    fields = {field.alias or name for name, field in BigQueryConfig.model_fields.items()}
    known = fields - MONITOR_ONLY - {"plugin", "connection", "credentials", "timeout_seconds", "threads"}
    unknown = sorted(str(key) for key in connection if key not in known)
    for key in unknown:
        if key in _NEVER:
            raise ComputeConfigurationError(f"{key}: {_NEVER[key]}")
    if unknown:
        raise ComputeConfigurationError(f"dbt-bigquery has no key {', '.join(unknown)}: it would ignore it")


def _reference(key: str, value: object) -> dict[str, str]:
    found = _REFERENCE.fullmatch(str(value))
    if found is None:
        raise ComputeConfigurationError(
            f"{key} is no plain {{{{ env_var('NAME') }}}}: put it in an environment variable and name that"
        )
    return {"env": found[2]}
