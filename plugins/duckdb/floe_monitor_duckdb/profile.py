"""From a target to dbt-duckdb's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_duckdb.catalogs import oauth_secret
from floe_monitor_duckdb.config import Attachment, DuckDBConfig, Secret
from floe_monitor_duckdb.iceberg import CREDENTIAL_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from floe_monitor_duckdb.iceberg import Catalog

HTTP_BOUNDS = {"http_timeout": 10, "http_retries": 1}
"""Written to `config_options`, which is the one place in force before secrets and attach; without them a
catalog that hangs holds dbt for four minutes."""

_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_SENSITIVE = re.compile(
    r"secret$|token$|password|passwd|credential$|_key$|connection_string|private", re.IGNORECASE
)
_NOT_SENSITIVE = frozenset({"type", "name", "provider", "persistent", "scope", "secret_type"})
_MONITOR_ONLY = frozenset({"must_exist", "check_writable"})
_OWN_FIELDS = frozenset(
    {
        "external_root",
        "use_credential_provider",
        "filesystems",
        "plugins",
        "module_paths",
        "disable_transactions",
        "keep_open",
        "is_ducklake",
    }
)


def generate(config: DuckDBConfig) -> dict[str, Any]:
    """The output block. Raises `ComputeConfigurationError` for a credential that is no dbt expression."""
    output: dict[str, Any] = {"type": "duckdb", "path": config.path}
    if config.database is not None:
        output["database"] = config.database
    if config.schema_ is not None:
        output["schema"] = config.schema_
    output["threads"] = config.threads
    extensions = config.extensions_in_force()
    if extensions:
        output["extensions"] = [item if isinstance(item, str) else item.model_dump() for item in extensions]
    catalogs = config.catalogs()
    options = {**(HTTP_BOUNDS if catalogs else {}), **config.config_options}
    if options:
        output["config_options"] = options
    settings = config.settings_in_force()
    if settings:
        output["settings"] = settings
    secrets = [secret.model_dump(exclude_none=True) for secret in with_credentials(config)]
    secrets += [oauth_secret(catalog) for catalog in catalogs if catalog.makes_secret]
    if secrets:
        output["secrets"] = secrets
    if config.attach:
        by_alias = {catalog.alias: catalog for catalog in catalogs}
        output["attach"] = [
            _catalog(by_alias[entry.alias or ""]) if entry.is_iceberg else _attachment(entry)
            for entry in config.attach
        ]
    if config.retries is not None:
        output["retries"] = config.retries.model_dump(exclude_none=True)
    for name in sorted(_OWN_FIELDS):
        value = getattr(config, name)
        if value is not None:
            output[name] = value
    if "motherduck_token" in config.credentials:
        output["motherduck_token"] = config.credentials["motherduck_token"].get_secret_value()
    _refuse_literals(output, ())
    return output


def with_credentials(config: DuckDBConfig) -> list[Secret]:
    """`config.all_secrets()`, after making sure that every credential has a use."""
    names = {secret.name for secret in config.secrets if secret.name}
    aliases = {entry.alias for entry in config.attach if entry.is_iceberg and entry.alias} - names
    for name in config.credentials:
        owner, dot, key = name.partition(".")
        used = dot and (owner in names or (owner in aliases and key in CREDENTIAL_KEYS))
        if not used and name != "motherduck_token":
            raise ComputeConfigurationError(
                f"credential {name!r} has no use: name it motherduck_token, <secret>.<key> with the name of "
                "one of the secrets, or <alias>.<key> with the alias of an Iceberg catalog and one of "
                f"{', '.join(sorted(CREDENTIAL_KEYS))}"
            )
    return config.all_secrets()


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again."""
    connection = {key: value for key, value in output.items() if key not in {"type", "threads"}}
    credentials: dict[str, Any] = {}
    known = {field.alias or name for name, field in DuckDBConfig.model_fields.items()} - _MONITOR_ONLY
    known -= {"plugin", "connection", "credentials", "timeout_seconds"}
    token = connection.pop("motherduck_token", None)
    if token is not None:
        credentials["motherduck_token"] = _reference(token)
    unknown = sorted(key for key in connection if key not in known)
    if unknown:
        raise ComputeConfigurationError(
            f"the duckdb plugin cannot carry over: {', '.join(unknown)} (it watches a local engine)"
        )
    settings = dict(connection.pop("settings", None) or {})
    memory_limit = settings.pop("memory_limit", None)
    if memory_limit is None:
        settings["memory_limit"] = None
    else:
        connection["memory_limit"] = str(memory_limit)
    threads = output.get("threads", 1)
    if settings.get("threads") == threads:
        settings.pop("threads")
    else:
        settings.setdefault("threads", None)
    if settings:
        connection["settings"] = settings
    found: dict[str, Any] = {"threads": threads, "connection": connection}
    return {**found, "credentials": credentials} if credentials else found


def _reference(value: object) -> dict[str, str]:
    found = re.fullmatch(r"\s*\{\{\s*env_var\(\s*['\"](\w+)['\"]\s*\)\s*\}\}\s*", str(value))
    if found is None:
        raise ComputeConfigurationError(
            "motherduck_token is a literal: put it in an environment variable and name that"
        )
    return {"env": found[1]}


def _catalog(catalog: Catalog) -> dict[str, Any]:
    """dbt-duckdb writes a true option as its name alone and leaves a false one out: that needs a text."""
    options = {key: "false" if item is False else item for key, item in catalog.attach_options().items()}
    found: dict[str, Any] = {"path": catalog.warehouse, "alias": catalog.alias, "type": "iceberg"}
    if catalog.secret is not None:
        found["secret"] = catalog.secret
    if catalog.read_only:
        found["read_only"] = True
    return {**found, "options": options} if options else found


def _attachment(entry: Attachment) -> dict[str, Any]:
    dumped = entry.model_dump(exclude_none=True, exclude={"required", "probe_table"})
    if not entry.read_only:
        dumped.pop("read_only")
    return dumped


def _refuse_literals(value: object, path: tuple[str, ...]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_literals(item, (*path, str(key)))
    elif isinstance(value, list):
        for item in value:
            _refuse_literals(item, path)
    elif path and _is_sensitive(path) and isinstance(value, str) and _EXPRESSION.sub("", value).strip(" :"):
        raise ComputeConfigurationError(
            f"{'.'.join(path)} holds a literal credential: write {{{{ env_var('NAME') }}}} instead"
        )


def _is_sensitive(path: Iterable[str]) -> bool:
    *parents, key = path
    if key in _NOT_SENSITIVE or (parents and parents[-1] == "attach"):
        return False
    return bool(_SENSITIVE.search(key))
