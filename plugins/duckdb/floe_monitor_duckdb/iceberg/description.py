"""A catalog as a target's `attach` describes it: read, checked and put into one form.

Two spellings are understood: the one of the floe platform (`path: iceberg:<name>` with `catalog_uri`,
`catalog_name`, `oauth_server_uri`, `credential`), which no DuckDB accepts, and DuckDB's own. Pure functions;
a value that is still a dbt expression is taken as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor_duckdb.iceberg import aws
from floe_monitor_duckdb.iceberg.catalog import OAUTH, PREFIX, Catalog, CatalogError
from floe_monitor_duckdb.iceberg.consistency import (
    ALIASES,
    check_aws,
    check_endpoint,
    check_oauth,
    check_signing,
    check_single_source,
    choose_authorization,
    names_of,
    place_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLAIN = (
    "access_delegation_mode",
    "default_region",
    "default_schema",
    "support_nested_namespaces",
    "stage_create_tables",
    "purge_requested",
    "max_table_staleness",
    "encode_entire_prefix",
    "remove_files_on_delete",
    "skip_create_table_metadata_updates",
    "disable_multi_table_commit",
)
"""ATTACH options of DuckDB 1.5.5 that only have to be passed on."""
_KNOWN = frozenset({*ALIASES, *OAUTH, *_PLAIN, *aws.OPTIONS, "credential", "endpoint", "warehouse"}) | {
    "endpoint_type",
    "authorization_type",
}
_SECRET_TYPES = frozenset({"iceberg", *aws.SIGNING_SECRETS})


def read_catalog(
    *,
    path: str,
    alias: str | None,
    kind: str | None,
    secret: str | None,
    options: Mapping[str, Any],
    secrets: Sequence[Mapping[str, Any]] = (),
    credentials: Mapping[str, str] | None = None,
    read_only: bool = False,
    required: bool = False,
    probe_table: str | None = None,
) -> Catalog:
    """Raises `CatalogError` for what cannot work. `credentials` are the target's own for this alias."""
    if (kind or "").lower() != "iceberg":
        raise CatalogError(("path",), "an iceberg: path needs `type: iceberg` beside it")
    if alias is None:
        raise CatalogError(("alias",), "an Iceberg catalog needs an alias: the name of its tables in SQL")
    given = _with_credentials(_normalized(options), credentials or {})
    named = _secret_named(secret, secrets)
    warehouse = _warehouse(path, given)
    endpoint, endpoint_type, authorization = (
        given.pop(key, None) for key in ("endpoint", "endpoint_type", "authorization_type")
    )
    oauth = {key: given.pop(key) for key in OAUTH if key in given}
    if secret is not None and oauth:
        raise CatalogError(
            ("secret",), f"credentials come from two sources: the secret, and {names_of(oauth)} beside it"
        )
    holder = str((named or {}).get("type", "")).lower()
    headers: dict[str, str] = {}
    makes_secret = bool(oauth)
    if makes_secret and _find_secret(f"{alias}_catalog", secrets) is not None:
        raise CatalogError(("alias",), "the secret made for it would have the name of one of `secrets`")
    if named is not None and holder == "iceberg":
        oauth, headers, own_endpoint = _read_iceberg_secret(named)
        endpoint = endpoint if endpoint is not None else own_endpoint
    authorization = choose_authorization(authorization, endpoint_type, oauth, holder)
    store = _signing_secret(named, secrets) if authorization == "sigv4" else {}
    if endpoint_type is None:
        check_endpoint(endpoint, authorization, place_of(options, "endpoint"))
    else:
        endpoint_type = str(endpoint_type).lower()
        check_aws(endpoint, endpoint_type, warehouse, store, options)
    check_signing(endpoint, authorization, given, options)
    check_oauth(oauth, authorization, options, named=secret is not None)
    return Catalog(
        alias=alias,
        warehouse=warehouse,
        endpoint=None if endpoint is None else str(endpoint).rstrip("/"),
        endpoint_type=endpoint_type,
        authorization=authorization,
        oauth=oauth,
        headers=headers,
        store=store,
        secret=secret if secret is not None else (f"{alias}_catalog" if makes_secret else None),
        makes_secret=makes_secret,
        options=given,
        read_only=read_only,
        required=required,
        probe_table=probe_table,
    )


def _with_credentials(given: dict[str, Any], credentials: Mapping[str, str]) -> dict[str, Any]:
    """The options with those of `credentials` among them, and `credential` split into its two parts."""
    for key, item in credentials.items():
        if key in given and given[key] != item:
            raise CatalogError(("options", key), "is given twice, here and in `credentials`")
        given[key] = item
    credential = given.pop("credential", None)
    if credential is None:
        return given
    if "client_id" in given or "client_secret" in given or "token" in given:
        raise CatalogError(
            ("options", "credential"), "credentials come from two sources: `credential` and others beside it"
        )
    text = str(credential)
    at = _first_colon(text)
    if at < 1 or at == len(text) - 1:
        raise CatalogError(
            ("options", "credential"),
            "must be `ID:SECRET`, each part of its own; or give client_id and client_secret",
        )
    return {**given, "client_id": text[:at], "client_secret": text[at + 1 :]}


def _first_colon(text: str) -> int:
    """Where the first colon is that stands outside of dbt's expressions; -1 where there is none."""
    start = 0
    while (opened := text.find("{{", start)) >= 0 and (closed := text.find("}}", opened + 2)) >= 0:
        at = text.find(":", start, opened)
        if at >= 0:
            return at
        start = closed + 2
    return text.find(":", start)


def _normalized(options: Mapping[str, Any]) -> dict[str, Any]:
    """DuckDB's own keys; `credential` stays to be split."""
    found: dict[str, Any] = {}
    for key, item in options.items():
        lower = key.lower()
        if lower in {"type", "secret", "read_only"}:
            raise CatalogError(("options", key), f"write `{lower}` beside `options`, not in it")
        if lower not in _KNOWN:
            hint = suggestion(lower, _KNOWN)
            raise CatalogError(("options", key), f"unknown option of an Iceberg catalog; {hint}")
        if item is None:
            continue
        name = ALIASES.get(lower, lower)
        if name in found and found[name] != item:
            raise CatalogError(("options", key), f"is `{name}`, which is given twice with two values")
        found[name] = item
    return found


def _find_secret(name: str, secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((each for each in secrets if str(each.get("name", "")).lower() == name.lower()), None)


def _secret_named(name: str | None, secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if name is None:
        return None
    found = _find_secret(name, secrets)
    if found is None:
        raise CatalogError(("secret",), "there is no secret of this name in `secrets`")
    if str(found.get("type", "")).lower() not in _SECRET_TYPES:
        raise CatalogError(
            ("secret",), "an Iceberg catalog is attached with a secret of type iceberg (or s3, or aws)"
        )
    return found


def _signing_secret(
    named: Mapping[str, Any] | None, secrets: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any]:
    """The secret that signs: the one named, else the only one DuckDB can choose. Empty where its keys come
    from elsewhere than the configuration."""
    if named is None:
        found = [each for each in secrets if str(each.get("type", "")).lower() in aws.SIGNING_SECRETS]
        named = found[0] if len(found) == 1 else {}
    lower = {str(key).lower(): item for key, item in named.items()}
    return lower if str(lower.get("provider", "config")).lower() == "config" else {}


def _read_iceberg_secret(named: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], Any]:
    """Its OAuth2 parameters, the headers that go with every request, and the endpoint it may name."""
    lower = {str(key).lower(): item for key, item in named.items()}
    oauth = {key: lower[key] for key in OAUTH if lower.get(key) is not None}
    headers = dict(lower.get("extra_http_headers") or {})
    endpoint = lower.get("endpoint")
    check_single_source(oauth, ("secret",))
    if endpoint is not None:
        oauth.setdefault("oauth2_server_uri", f"{str(endpoint).rstrip('/')}/v1/oauth/tokens")
    if "token" not in oauth and "oauth2_server_uri" not in oauth:
        raise CatalogError(("secret",), "its secret needs oauth2_server_uri, where to ask for a token")
    return oauth, headers, endpoint


def _warehouse(path: str, given: dict[str, Any]) -> str:
    from_options = given.pop("warehouse", None)
    from_path = path.removeprefix(PREFIX)
    if from_options is None:
        if not from_path:
            raise CatalogError(("path",), "names no warehouse")
        return from_path
    if not str(from_options):
        raise CatalogError(("options", "warehouse"), "is empty")
    if not path.startswith(PREFIX) and str(from_options) != path:
        raise CatalogError(("path",), "names another warehouse than `options` does")
    return str(from_options)
