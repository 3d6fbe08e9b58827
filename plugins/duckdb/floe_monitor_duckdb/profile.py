"""From a target to dbt-duckdb's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor_duckdb.config import Attachment, DuckDBConfig, Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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
    if config.extensions:
        output["extensions"] = [
            item if isinstance(item, str) else item.model_dump() for item in config.extensions
        ]
    if config.config_options:
        output["config_options"] = dict(config.config_options)
    settings = config.settings_in_force()
    if settings:
        output["settings"] = settings
    secrets = with_credentials(config)
    if secrets:
        output["secrets"] = [secret.model_dump(exclude_none=True) for secret in secrets]
    if config.attach:
        output["attach"] = [_attachment(entry) for entry in config.attach]
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
    """The secrets, with each credential named `<secret>.<key>` put in its place."""
    added: dict[str, dict[str, str]] = {}
    names = {secret.name for secret in config.secrets if secret.name}
    for name, value in config.credentials.items():
        owner, dot, key = name.partition(".")
        if dot and owner in names:
            added.setdefault(owner, {})[key] = value.get_secret_value()
        elif name != "motherduck_token":
            raise ComputeConfigurationError(
                f"credential {name!r} has no use: name it motherduck_token, or <secret>.<key> with the name "
                "of one of the secrets"
            )
    return [
        Secret.model_validate({**secret.model_dump(exclude_none=True), **added.get(secret.name or "", {})})
        for secret in config.secrets
    ]


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


def _attachment(entry: Attachment) -> dict[str, Any]:
    dumped = entry.model_dump(exclude_none=True)
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
