"""The contract's description of a catalog, from a target and to the statements that attach it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import CatalogConfig, ComputeConfigurationError
from floe_monitor_duckdb.iceberg.attachment import attach_sql, oauth_secret, secret_sql
from floe_monitor_duckdb.iceberg.catalog import CREDENTIAL_KEYS, EXTENSIONS, Catalog, CatalogError
from floe_monitor_duckdb.iceberg.description import read_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HTTP_SECONDS = 5
"""Bound on one HTTP exchange, set before anything connects: DuckDB's own is 30 s, tried four times."""

_STORE_KEYS = frozenset({"key_id", "secret", "region", "session_token"})
_STORE_OPTIONS = ("s3_endpoint", "s3_url_style", "s3_use_ssl")


def attachment_sql(config: CatalogConfig) -> list[str]:
    """Statements to run in order, as they are: extensions, HTTP bounds, secrets, ATTACH."""
    if config.catalog_type.lower() != "rest":
        raise ComputeConfigurationError("DuckDB attaches Iceberg catalogs of type rest only")
    given = {name: value.get_secret_value() for name, value in config.credentials.items()}
    unknown = given.keys() - CREDENTIAL_KEYS - _STORE_KEYS
    if unknown:
        raise ComputeConfigurationError(f"credential {min(unknown)!r} has no use for a catalog")
    options = dict(config.options)
    secrets = list(options.pop("secrets", ()))
    alias = config.alias or config.catalog_name
    store = _object_store(given, options)
    if store:
        secrets.append({"type": "s3", "name": f"{alias}_storage", **store})
    catalog = _read(config, alias, {k: given[k] for k in given.keys() - _STORE_KEYS}, options, secrets)
    statements = [f"{verb} {name}" for name in EXTENSIONS for verb in ("INSTALL", "LOAD")]
    statements += [f"SET http_timeout = {HTTP_SECONDS}", "SET http_retries = 0"]
    statements += [secret_sql(secret) for secret in secrets]
    if catalog.makes_secret:
        statements.append(secret_sql(oauth_secret(catalog)))
    return [*statements, attach_sql(catalog)]


def catalog_configs(catalogs: Iterable[Catalog], secrets: Sequence[Mapping[str, Any]]) -> list[CatalogConfig]:
    """The catalogs that a target attaches, each with the secrets of other types that go with it."""
    others = [secret for secret in secrets if str(secret["type"]).lower() != "iceberg"]
    return [_catalog_config(catalog, others) for catalog in catalogs]


def _catalog_config(catalog: Catalog, secrets: Sequence[Mapping[str, Any]]) -> CatalogConfig:
    options: dict[str, Any] = {**catalog.options, "secrets": [dict(secret) for secret in secrets]}
    if catalog.endpoint_type is not None:
        options["endpoint_type"] = catalog.endpoint_type
    if (grant_type := catalog.oauth.get("oauth2_grant_type")) is not None:
        options["oauth2_grant_type"] = grant_type
    if catalog.authorization != "oauth2" and catalog.endpoint_type is None:
        options["authorization_type"] = catalog.authorization
    if catalog.authorization == "sigv4":
        options["secret"] = catalog.secret
    if catalog.read_only:
        options["read_only"] = True
    if catalog.headers:
        options["extra_http_headers"] = dict(catalog.headers)
    return CatalogConfig.model_validate(
        {
            "catalog_uri": catalog.endpoint or "",
            "catalog_name": catalog.warehouse,
            "alias": catalog.alias,
            "oauth_server_uri": catalog.oauth.get("oauth2_server_uri"),
            "scope": catalog.oauth.get("oauth2_scope"),
            "credentials": {k: str(v) for k, v in catalog.oauth.items() if k in CREDENTIAL_KEYS},
            "options": options,
        }
    )


def _read(
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
        found = read_catalog(
            path=config.warehouse or config.catalog_name,
            alias=alias,
            kind="iceberg",
            secret=secret,
            options=merged,
            secrets=secrets,
            credentials=given,
            read_only=read_only,
        )
    except CatalogError as error:
        raise ComputeConfigurationError(f"{'.'.join(map(str, error.path))}: {error}") from None
    return replace(found, headers=headers)


def _object_store(given: dict[str, str], options: dict[str, Any]) -> dict[str, Any]:
    extra = {key: options.pop(key) for key in _STORE_OPTIONS if key in options}
    if not given.get("key_id") or not given.get("secret"):
        return {}
    store: dict[str, Any] = {key: given[key] for key in sorted(_STORE_KEYS) if given.get(key)}
    store.update({key.removeprefix("s3_"): item for key, item in extra.items() if item is not None})
    return store
