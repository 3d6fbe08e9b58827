"""Iceberg REST catalogs: the SQL that attaches one to DuckDB 1.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute import CatalogConfig, ComputeConfigurationError

if TYPE_CHECKING:
    from floe_monitor_duckdb.config import Attachment, DuckDBConfig

_SECONDS = 5
"""Bound on one HTTP exchange with the catalog: DuckDB's own default is 30 s, tried four times."""


def literal(value: object) -> str:
    """A string literal that DuckDB reads as exactly this text."""
    text = str(value)
    if "\0" in text:
        raise ComputeConfigurationError("a value for DuckDB holds a NUL character")
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted identifier that DuckDB reads as exactly this name."""
    if not name or "\0" in name:
        raise ComputeConfigurationError("a name for DuckDB is empty or holds a NUL character")
    return '"' + name.replace('"', '""') + '"'


def attachment_sql(catalog: CatalogConfig) -> list[str]:
    """Statements to run in order: extensions, HTTP bounds before anything that connects, secrets, ATTACH."""
    if catalog.catalog_type.lower() != "rest":
        raise ComputeConfigurationError("DuckDB attaches Iceberg catalogs of type rest only")
    alias = catalog.alias or catalog.catalog_name
    secret = identifier(f"{alias}_catalog")
    given = {name: value.get_secret_value() for name, value in catalog.credentials.items()}
    oauth = _oauth(catalog, given)
    statements = [f"{verb} {name}" for name in ("avro", "httpfs", "iceberg") for verb in ("INSTALL", "LOAD")]
    statements += [f"SET http_timeout = {_SECONDS}", "SET http_retries = 0"]
    if oauth:
        statements.append(f"CREATE OR REPLACE SECRET {secret} (TYPE ICEBERG, {_listing(oauth)})")
    store = _object_store(given, catalog.options)
    if store:
        statements.append(
            f"CREATE OR REPLACE SECRET {identifier(f'{alias}_storage')} (TYPE S3, {_listing(store)})"
        )
    options = [f"ENDPOINT {literal(catalog.catalog_uri)}"]
    options += [f"SECRET {secret}"] if oauth else ["AUTHORIZATION_TYPE 'none'"]
    warehouse = catalog.warehouse or catalog.catalog_name
    statements.append(
        f"ATTACH {literal(warehouse)} AS {identifier(alias)} (TYPE ICEBERG, {', '.join(options)})"
    )
    return statements


def from_attachments(config: DuckDBConfig) -> list[CatalogConfig]:
    """The Iceberg catalogs among the target's `attach` entries."""
    return [_catalog(entry, config) for entry in config.attach if (entry.type or "").lower() == "iceberg"]


def _catalog(entry: Attachment, config: DuckDBConfig) -> CatalogConfig:
    options = {key.lower(): value for key, value in (entry.options or {}).items() if value is not None}
    uri = options.pop("catalog_uri", None) or options.pop("endpoint", None)
    if uri is None:
        raise ComputeConfigurationError(f"attach {entry.alias or entry.path}: no catalog_uri or endpoint")
    path_name = entry.path.removeprefix("iceberg:")
    credentials: dict[str, Any] = {}
    if "credential" in options:
        credentials["credential"] = options.pop("credential")
    secret = next((item for item in config.secrets if item.name and item.name == entry.secret), None)
    for key, value in (secret.model_extra or {}).items() if secret else ():
        if key.lower() in {"client_id", "client_secret", "token"}:
            credentials[key.lower()] = str(value)
        else:
            options.setdefault(key.lower(), value)
    oauth_uri = options.pop("oauth_server_uri", None) or options.pop("oauth2_server_uri", None)
    return CatalogConfig.model_validate(
        {
            "catalog_uri": str(uri),
            "catalog_name": str(options.pop("catalog_name", path_name)),
            "warehouse": None if entry.path.startswith("iceberg:") else entry.path,
            "alias": entry.alias,
            "oauth_server_uri": oauth_uri,
            "scope": options.pop("oauth2_scope", None),
            "credentials": credentials,
            "options": options,
        }
    )


def _oauth(catalog: CatalogConfig, given: dict[str, str]) -> dict[str, str]:
    if "token" in given:
        return {"TOKEN": given["token"]}
    client_id, client_secret = given.get("client_id"), given.get("client_secret")
    if "credential" in given:
        client_id, _, client_secret = given["credential"].partition(":")
    if not client_id or client_secret is None:
        return {}
    found = {"CLIENT_ID": client_id, "CLIENT_SECRET": client_secret}
    uri = catalog.oauth_server_uri or catalog.catalog_uri.rstrip("/") + "/v1/oauth/tokens"
    found["OAUTH2_SERVER_URI"] = uri
    if catalog.scope:
        found["OAUTH2_SCOPE"] = catalog.scope
    return found


def _object_store(given: dict[str, str], options: dict[str, Any]) -> dict[str, str]:
    if not given.get("key_id") or not given.get("secret"):
        return {}
    store = {"KEY_ID": given["key_id"], "SECRET": given["secret"]}
    for key in ("region", "session_token"):
        if given.get(key):
            store[key.upper()] = given[key]
    for key in ("endpoint", "url_style", "use_ssl"):
        value = options.get(f"s3_{key}")
        if value is not None:
            store[key.upper()] = str(value).lower() if isinstance(value, bool) else str(value)
    return store


def _listing(items: dict[str, str]) -> str:
    return ", ".join(f"{key} {literal(value)}" for key, value in items.items())
