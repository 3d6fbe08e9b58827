"""From a target to dbt-spark's output in profiles.yml, and back."""

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
from floe_monitor_spark.config import MONITOR_ONLY, REFUSED_METHODS, SECRET_KEYS, SparkConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEYS = (
    "method",
    "host",
    "port",
    "user",
    *SECRET_KEYS,
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
    "threads",
)
_UNSET_ON_IMPORT = ("port", "connect_retries", "connect_timeout", "query_timeout")
"""Keys that a new target writes by default, or must give; an imported profile without them stays without."""


def generate(config: SparkConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    defaults: dict[str, Any] = {"port": 443}
    if "timeout_seconds" in config.model_fields_set:
        defaults["query_timeout"] = config.timeout_seconds
    output = output_of(config, "spark", _KEYS, SECRET_KEYS, defaults)
    if output.get("server_side_parameters") == {}:
        del output["server_side_parameters"]
    return output


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a method no daemon can use, a key dbt-spark would refuse or ignore,
    and a literal secret.
    """
    method = output.get("method")
    if isinstance(method, str) and method in REFUSED_METHODS:
        raise ComputeConfigurationError(REFUSED_METHODS[method])
    connection = connection_of(output)
    credentials = take_credentials(connection, SECRET_KEYS)
    if unknown := unknown_keys(connection, SparkConfig, MONITOR_ONLY):
        raise UnknownKeysError(
            f"dbt-spark has no use for {', '.join(unknown)} with method {method}: it ignores it", unknown
        )
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)
