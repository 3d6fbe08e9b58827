"""From a target to dbt-spark's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_spark.config import MONITOR_ONLY, REFUSED_METHODS, SECRET_KEYS, SparkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEFORE_SECRETS = ("method", "host", "port", "user")
_AFTER_SECRETS = (
    "database",
    "schema",
    "auth",
    "kerberos_service_name",
    "use_ssl",
    "cluster",
    "organization",
    "connect_retries",
    "connect_timeout",
    "retry_all",
    "query_timeout",
    "query_retries",
    "poll_interval",
    "server_side_parameters",
)
_REFERENCE = re.compile(r"""\s*\{\{-?\s*env_var\(\s*(['"])(\w+)\1\s*\)\s*-?\}\}\s*""")
_UNSET_ON_IMPORT = ("port", "connect_retries", "connect_timeout")
"""Keys that a new target writes by default, or must give; an imported profile without them stays without."""


def generate(config: SparkConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    output: dict[str, Any] = {"type": "spark"}
    for key in (*_BEFORE_SECRETS, *SECRET_KEYS, *_AFTER_SECRETS):
        value = config.secret(key) if key in SECRET_KEYS else _value(config, key)
        if value is not None and value != {}:
            output[key] = value
    output["threads"] = config.threads
    return output


def _value(config: SparkConfig, key: str) -> Any:
    field = "schema_" if key == "schema" else key
    if field in config.model_fields_set:
        return config.connection.get(key, getattr(config, field))
    if key == "port":
        return 443
    if key == "query_timeout" and "timeout_seconds" in config.model_fields_set:
        return config.timeout_seconds
    return getattr(config, field)


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a method no daemon can use, a key dbt-spark would refuse or ignore,
    and a literal secret.
    """
    method = output.get("method")
    if isinstance(method, str) and method in REFUSED_METHODS:
        raise ComputeConfigurationError(REFUSED_METHODS[method])
    connection = {key: value for key, value in output.items() if key not in {"type", "threads"}}
    credentials: dict[str, Any] = {}
    for key in SECRET_KEYS:
        value = connection.pop(key, None)
        if value is not None:
            credentials[key] = _reference(key, value)
    fields = {field.alias or name for name, field in SparkConfig.model_fields.items()}
    known = fields - MONITOR_ONLY - {"plugin", "connection", "credentials", "timeout_seconds", "threads"}
    unknown = sorted(str(key) for key in connection if key not in known)
    if unknown:
        raise ComputeConfigurationError(
            f"dbt-spark has no use for {', '.join(unknown)} with method {method}: it ignores or refuses it"
        )
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
