"""From a target to dbt-postgres' output in profiles.yml, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    take_credentials,
    target_of,
    unknown_keys,
    written,
)
from floe_monitor_postgres.config import MONITOR_ONLY, PASSWORD_KEYS, PostgresConfig
from floe_monitor_postgres.service_file import read_service

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONAL = (
    "connect_timeout",
    "retries",
    "keepalives_idle",
    "role",
    "search_path",
    "sslmode",
    "sslcert",
    "sslkey",
    "sslrootcert",
    "application_name",
    "autocommit",
)
_UNSET_ON_IMPORT = ("connect_timeout", "retries")
"""Keys that a new target writes by default; an imported profile without them stays without."""


def generate(config: PostgresConfig) -> dict[str, Any]:
    """The output block; a value of `connection` stands in it as it was given."""
    served = read_service(config.service) if config.service is not None else {}
    password_key = next((key for key in PASSWORD_KEYS if key in config.credentials), "password")
    database_key = "database" if config.database is not None else "dbname"
    output: dict[str, Any] = {"type": "postgres"}
    for key in ("host", "user", password_key, "port", database_key, "schema", "threads", *_OPTIONAL):
        if key == password_key:
            # dbt-postgres insists on the key, with a client certificate too.
            output[key] = config.password
            continue
        value = written(config, key, served.get(key))
        if value is not None:
            output[key] = value
    missing = [key for key in ("host", "user", database_key) if not output.get(key)]
    if missing:
        raise ComputeConfigurationError(
            f"neither `connection` nor service {config.service!r} gives: {', '.join(missing)}"
        )
    return output


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a key dbt-postgres would ignore, and for a literal password.
    """
    connection = connection_of(output)
    credentials = take_credentials(connection, PASSWORD_KEYS)
    if unknown := unknown_keys(connection, PostgresConfig, MONITOR_ONLY):
        raise UnknownKeysError(f"dbt-postgres has no key {', '.join(unknown)}: it ignores it", unknown)
    return target_of(output, connection, credentials, _UNSET_ON_IMPORT)
