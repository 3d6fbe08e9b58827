"""From a target to dbt-postgres' output in profiles.yml, and back; and to what libpq is told by dbt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_postgres.config import MONITOR_ONLY, PASSWORD_KEYS, PostgresConfig
from floe_monitor_postgres.service import read_service

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
_REFERENCE = re.compile(r"""\s*\{\{-?\s*env_var\(\s*(['"])(\w+)\1\s*\)\s*-?\}\}\s*""")
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
        value = _value(config, key, served)
        if value is not None:
            output[key] = value
    missing = [key for key in ("host", "user", database_key) if not output.get(key)]
    if missing:
        raise ComputeConfigurationError(
            f"neither `connection` nor service {config.service!r} gives: {', '.join(missing)}"
        )
    return output


def _value(config: PostgresConfig, key: str, served: Mapping[str, Any]) -> Any:
    field = "schema_" if key == "schema" else key
    if field in config.model_fields_set:
        return config.connection.get(key, getattr(config, field))
    return served.get(key, getattr(config, field))


def connection_parameters(config: PostgresConfig) -> dict[str, str]:
    """What dbt-postgres hands to libpq for this target, `host` and `connect_timeout` included."""
    output = generate(config)
    parameters = {
        "host": output["host"],
        "port": output["port"],
        "user": output["user"],
        "password": config.password,
        "dbname": output.get("dbname") or output.get("database"),
        "application_name": "floe-monitor",
        "connect_timeout": output.get("connect_timeout", 10),
        # 0 is dbt's way to say unset; libpq would try to set it.
        "keepalives_idle": output.get("keepalives_idle") or None,
        **{key: output.get(key) for key in ("sslmode", "sslcert", "sslkey", "sslrootcert")},
    }
    if search_path := output.get("search_path"):
        escaped = search_path.replace(" ", "\\ ")
        parameters["options"] = f"-c search_path={escaped}"
    return {key: str(value) for key, value in parameters.items() if value is not None}


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a key dbt-postgres would ignore, and for a literal password.
    """
    connection = {key: value for key, value in output.items() if key not in {"type", "threads"}}
    credentials: dict[str, Any] = {}
    for key in PASSWORD_KEYS:
        value = connection.pop(key, None)
        if value not in {None, ""}:
            credentials[key] = _reference(key, value)
    fields = {field.alias or name for name, field in PostgresConfig.model_fields.items()}
    known = fields - MONITOR_ONLY - {"plugin", "connection", "credentials", "timeout_seconds", "threads"}
    unknown = sorted(str(key) for key in connection if key not in known)
    if unknown:
        raise ComputeConfigurationError(f"dbt-postgres has no key {', '.join(unknown)}: it would ignore it")
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
