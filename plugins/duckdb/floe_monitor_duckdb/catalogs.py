"""Iceberg REST catalogs: the SQL that attaches one to DuckDB 1.5."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import CatalogConfig, ComputeConfigurationError
from floe_monitor_duckdb import iceberg
from floe_monitor_duckdb.quoting import identifier, listing, literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_duckdb.config import DuckDBConfig, Secret
    from floe_monitor_duckdb.iceberg import Catalog

HTTP_SECONDS = 5
"""Bound on one HTTP exchange, set before anything connects: DuckDB's own is 30 s, tried four times."""

_STORE_KEYS = frozenset({"key_id", "secret", "region", "session_token"})
_STORE_OPTIONS = ("s3_endpoint", "s3_url_style", "s3_use_ssl")


def attachment_sql(config: CatalogConfig) -> list[str]:
    """Statements to run in order, as they are: extensions, HTTP bounds, secrets, ATTACH."""
    if config.catalog_type.lower() != "rest":
        raise ComputeConfigurationError("DuckDB attaches Iceberg catalogs of type rest only")
    given = {name: value.get_secret_value() for name, value in config.credentials.items()}
    unknown = given.keys() - iceberg.CREDENTIAL_KEYS - _STORE_KEYS
    if unknown:
        raise ComputeConfigurationError(f"credential {min(unknown)!r} has no use for a catalog")
    options = dict(config.options)
    secrets = list(options.pop("secrets", ()))
    alias = config.alias or config.catalog_name
    store = _object_store(given, options)
    if store:
        secrets.append({"type": "s3", "name": f"{alias}_storage", **store})
    catalog = _catalog(config, alias, {k: given[k] for k in given.keys() - _STORE_KEYS}, options, secrets)
    statements = [f"{verb} {name}" for name in iceberg.EXTENSIONS for verb in ("INSTALL", "LOAD")]
    statements += [f"SET http_timeout = {HTTP_SECONDS}", "SET http_retries = 0"]
    statements += [secret_sql(secret) for secret in secrets]
    if catalog.makes_secret:
        statements.append(secret_sql(oauth_secret(catalog)))
    return [*statements, attach_sql(catalog)]


def secret_sql(secret: Mapping[str, Any]) -> str:
    """CREATE SECRET with everything quoted; `type` and `provider` are plain words by the configuration."""
    first = {key: secret[key] for key in ("type", "provider") if secret.get(key) is not None}
    parameters = {**first, **{key: item for key, item in secret.items() if key not in {"name", "persistent"}}}
    name = f" {identifier(str(secret['name']))}" if secret.get("name") else ""
    kind = "PERSISTENT SECRET" if secret.get("persistent") else "SECRET"
    return f"CREATE OR REPLACE {kind}{name} ({listing(parameters)})"


def oauth_secret(catalog: Catalog) -> dict[str, Any]:
    """The secret that a catalog with credentials of its own is attached with, dbt-duckdb's form."""
    needs_uri = "token" not in catalog.oauth
    uri = {"oauth2_server_uri": catalog.token_uri} if needs_uri else {}
    headers = {"extra_http_headers": dict(catalog.headers)} if catalog.headers else {}
    return {"type": "iceberg", "name": catalog.secret, **catalog.oauth, **uri, **headers}


def attach_sql(catalog: Catalog, *, secret: str | None = None) -> str:
    options: dict[str, Any] = {"type": "iceberg", **catalog.attach_options()}
    parts = [listing(options)]
    name = secret or catalog.secret
    if name is not None:
        parts.append(f"SECRET {identifier(name)}")
    if catalog.read_only:
        parts.append("READ_ONLY")
    return f"ATTACH {literal(catalog.warehouse)} AS {identifier(catalog.alias)} ({', '.join(parts)})"


def from_attachments(config: DuckDBConfig) -> list[CatalogConfig]:
    """The Iceberg catalogs among the target's `attach` entries, with the secrets that go with them."""
    found = []
    for catalog in config.catalogs():
        secrets = [_dumped(each) for each in config.all_secrets() if each.type.lower() != "iceberg"]
        options: dict[str, Any] = {**catalog.options, "secrets": secrets}
        for key in ("endpoint_type", "oauth2_grant_type"):
            item = getattr(catalog, key, None) or catalog.oauth.get(key)
            if item is not None:
                options[key] = item
        if catalog.authorization != "oauth2" and catalog.endpoint_type is None:
            options["authorization_type"] = catalog.authorization
        if catalog.authorization == "sigv4":
            options["secret"] = catalog.secret
        if catalog.read_only:
            options["read_only"] = True
        if catalog.headers:
            options["extra_http_headers"] = dict(catalog.headers)
        credentials = {k: str(v) for k, v in catalog.oauth.items() if k in iceberg.CREDENTIAL_KEYS}
        found.append(
            CatalogConfig.model_validate(
                {
                    "catalog_uri": catalog.endpoint or "",
                    "catalog_name": catalog.warehouse,
                    "alias": catalog.alias,
                    "oauth_server_uri": catalog.oauth.get("oauth2_server_uri"),
                    "scope": catalog.oauth.get("oauth2_scope"),
                    "credentials": credentials,
                    "options": options,
                }
            )
        )
    return found


def _catalog(
    config: CatalogConfig,
    alias: str,
    given: dict[str, str],
    options: dict[str, Any],
    secrets: list[Mapping[str, Any]],
) -> Catalog:
    secret, read_only = options.pop("secret", None), bool(options.pop("read_only", False))
    headers = dict(options.pop("extra_http_headers", None) or {})
    merged = {
        "oauth_server_uri": config.oauth_server_uri if given else None,
        "oauth2_scope": config.scope if given else None,
        **options,
    }
    if config.catalog_uri:
        merged["endpoint"] = config.catalog_uri
    if not given and secret is None:
        merged.setdefault("authorization_type", "none")
    try:
        found = iceberg.read(
            path=config.warehouse or config.catalog_name,
            alias=alias,
            kind="iceberg",
            secret=secret,
            options=merged,
            secrets=secrets,
            credentials=given,
            read_only=read_only,
        )
    except iceberg.CatalogError as error:
        raise ComputeConfigurationError(f"{'.'.join(map(str, error.path))}: {error}") from None
    return replace(found, headers=headers)


def _object_store(given: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    extra = {key: options.pop(key) for key in _STORE_OPTIONS if key in options}
    if not given.get("key_id") or not given.get("secret"):
        return {}
    store: dict[str, Any] = {key: given[key] for key in sorted(_STORE_KEYS) if given.get(key)}
    store.update({key.removeprefix("s3_"): item for key, item in extra.items() if item is not None})
    return store


def _dumped(secret: Secret) -> dict[str, Any]:
    return secret.model_dump(exclude_none=True)
