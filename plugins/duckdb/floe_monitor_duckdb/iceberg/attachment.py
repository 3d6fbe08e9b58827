"""The SQL that attaches a catalog to DuckDB 1.5: CREATE SECRET and ATTACH, every text quoted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor_duckdb.sql import identifier, literal, option_list

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor_duckdb.iceberg.catalog import Catalog


def secret_sql(secret: Mapping[str, Any]) -> str:
    """CREATE SECRET with everything quoted; `type` and `provider` are plain words by the configuration."""
    first = {key: secret[key] for key in ("type", "provider") if secret.get(key) is not None}
    parameters = {**first, **{key: item for key, item in secret.items() if key not in {"name", "persistent"}}}
    name = f" {identifier(str(secret['name']))}" if secret.get("name") else ""
    kind = "PERSISTENT SECRET" if secret.get("persistent") else "SECRET"
    return f"CREATE OR REPLACE {kind}{name} ({option_list(parameters)})"


def oauth_secret(catalog: Catalog) -> dict[str, Any]:
    """The secret that a catalog with credentials of its own is attached with, dbt-duckdb's form."""
    needs_uri = "token" not in catalog.oauth
    uri = {"oauth2_server_uri": catalog.token_uri} if needs_uri else {}
    headers = {"extra_http_headers": dict(catalog.headers)} if catalog.headers else {}
    return {"type": "iceberg", "name": catalog.secret, **catalog.oauth, **uri, **headers}


def attach_sql(catalog: Catalog, *, secret: str | None = None) -> str:
    options: dict[str, Any] = {"type": "iceberg", **catalog.attach_options()}
    parts = [option_list(options)]
    name = secret or catalog.secret
    if name is not None:
        parts.append(f"SECRET {identifier(name)}")
    if catalog.read_only:
        parts.append("READ_ONLY")
    return f"ATTACH {literal(catalog.warehouse)} AS {identifier(catalog.alias)} ({', '.join(parts)})"
