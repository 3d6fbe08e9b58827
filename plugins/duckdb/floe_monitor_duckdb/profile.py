"""From a target to dbt-duckdb's output in profiles.yml, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from floe_monitor.compute import ComputeConfigurationError
from floe_monitor.compute.toolkit.dbt_outputs import (
    UnknownKeysError,
    connection_of,
    secret_of,
    take_credentials,
    target_of,
    unknown_keys,
)
from floe_monitor.compute.toolkit.env_references import holds_literal
from floe_monitor_duckdb.config import MONITOR_ONLY, MOTHERDUCK_TOKEN, Attachment, DuckDBConfig
from floe_monitor_duckdb.iceberg.attachment import oauth_secret
from floe_monitor_duckdb.iceberg.catalog import CREDENTIAL_KEYS
from floe_monitor_duckdb.sensitivity import sensitive_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_duckdb.iceberg.catalog import Catalog

HTTP_BOUNDS = {"http_timeout": 10, "http_retries": 1}
"""Written to `config_options`, which is the one place in force before secrets and attach; without them a
catalog that hangs holds dbt for four minutes."""

_BETWEEN_EXPRESSIONS = re.compile(r"\}\}\s*:\s*\{\{")
"""`ID:SECRET` of two expressions: the colon is no literal credential."""
_REMOTE = "remote"
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
    _refuse_unused(config)
    secrets = config.all_secrets()
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
            output[name] = [_given(item) for item in value] if isinstance(value, list) else value
    if (token := secret_of(config, MOTHERDUCK_TOKEN)) is not None:
        output[MOTHERDUCK_TOKEN] = token
    _refuse_literals(output)
    return output


def _refuse_unused(config: DuckDBConfig) -> None:
    """Every credential has a use: a secret, a catalog, or MotherDuck."""
    names = {secret.name for secret in config.secrets if secret.name}
    aliases = {entry.alias for entry in config.attach if entry.is_iceberg and entry.alias} - names
    for name in config.credentials:
        owner, dot, key = name.partition(".")
        used = dot and (owner in names or (owner in aliases and key in CREDENTIAL_KEYS))
        if not used and name != MOTHERDUCK_TOKEN:
            raise ComputeConfigurationError(
                f"credential {name!r} has no use: name it motherduck_token, <secret>.<key> with the name of "
                "one of the secrets, or <alias>.<key> with the alias of an Iceberg catalog and one of "
                f"{', '.join(sorted(CREDENTIAL_KEYS))}"
            )


def import_output(output: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a target that generates this output again.

    Raises `ComputeConfigurationError` for a key the plugin does not have, and for a literal token.
    """
    connection = connection_of(output)
    credentials = take_credentials(connection, (MOTHERDUCK_TOKEN,))
    if _REMOTE in connection:
        raise ComputeConfigurationError(
            f"{_REMOTE}: dbt then uses another process' DuckDB, and the duckdb plugin watches a local one"
        )
    if unknown := unknown_keys(connection, DuckDBConfig, MONITOR_ONLY):
        raise UnknownKeysError(f"dbt-duckdb has no use for {', '.join(unknown)}: it ignores it", unknown)
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
    return target_of(output, connection, credentials)


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


def _given(item: Any) -> Any:
    return item.model_dump(exclude_none=True) if isinstance(item, BaseModel) else item


def _refuse_literals(output: Mapping[str, Any]) -> None:
    for path, text in sensitive_texts(output):
        if text.strip(" :") and holds_literal(_BETWEEN_EXPRESSIONS.sub("}}{{", text)):
            raise ComputeConfigurationError(
                f"{'.'.join(path)} holds a literal credential: write {{{{ env_var('NAME') }}}} instead"
            )
