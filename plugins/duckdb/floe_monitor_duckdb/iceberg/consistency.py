"""What of a catalog's description has to fit together, refused in the words of the key that is wrong.

A value that is still a dbt expression is taken as it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.env_references import is_template
from floe_monitor_duckdb.iceberg import aws
from floe_monitor_duckdb.iceberg.catalog import CatalogError

if TYPE_CHECKING:
    from collections.abc import Mapping

ALIASES = {
    "catalog_uri": "endpoint",
    "catalog_name": "warehouse",
    "oauth_server_uri": "oauth2_server_uri",
    "bearer_token": "token",
    "scope": "oauth2_scope",
}
"""The floe platform's names of DuckDB's keys."""
_AUTHORIZATIONS = ("oauth2", "sigv4", "none")
_URI = re.compile(r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", re.IGNORECASE)


def choose_authorization(given: Any, endpoint_type: Any, oauth: Mapping[str, Any], held: str) -> str:
    """`oauth2`, `sigv4` or `none`; `held` is the type of the secret that is named, empty without one."""
    if endpoint_type is not None:
        if str(endpoint_type).lower() not in aws.ENDPOINT_TYPES:
            allowed = ", ".join(aws.ENDPOINT_TYPES)
            raise CatalogError(("options", "endpoint_type"), f"must be one of {allowed}")
        if given is not None:
            raise CatalogError(("options", "authorization_type"), "does not go with endpoint_type")
        given = "sigv4"
    if given is None:
        given = "sigv4" if held in aws.SIGNING_SECRETS else "oauth2"
    chosen = str(given).lower()
    if chosen not in _AUTHORIZATIONS:
        raise CatalogError(("options", "authorization_type"), f"must be one of {', '.join(_AUTHORIZATIONS)}")
    if chosen != "oauth2" and oauth:
        raise CatalogError(
            ("options", "authorization_type"), f"does not use what else is given: {names_of(oauth)}"
        )
    if chosen == "none" and held:
        raise CatalogError(("secret",), "is of no use without authorization")
    if chosen == "oauth2" and held in aws.SIGNING_SECRETS:
        raise CatalogError(("secret",), f"OAuth2 needs a secret of type iceberg, not {held}")
    if chosen == "sigv4" and held == "iceberg":
        raise CatalogError(("secret",), "SigV4 needs a secret of type s3, not iceberg")
    return chosen


def place_of(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The path to the key that gives this option, under whichever name; else to all options."""
    found = next((key for key in options if ALIASES.get(key.lower(), key.lower()) == name), None)
    return ("options",) if found is None else ("options", found)


def check_endpoint(endpoint: Any, authorization: str, where: tuple[str, ...]) -> None:
    if endpoint is None:
        raise CatalogError(("options",), "catalog_uri (or endpoint) is missing: where the catalog answers")
    text = str(endpoint)
    if is_template(text):
        return
    if authorization == "sigv4":
        if not aws.is_address(text):
            raise CatalogError(where, "must be SERVICE.REGION.amazonaws.com/iceberg, or a URI")
    elif not _URI.match(text):
        raise CatalogError(where, "the catalog's URI must be http://HOST or https://HOST, with a path")


def check_aws(
    endpoint: Any, kind: str, warehouse: str, store: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """`kind` is one of `aws.ENDPOINT_TYPES`, `store` the secret that signs."""
    if endpoint is not None:
        raise CatalogError(place_of(options, "endpoint"), "endpoint_type already says which endpoint to use")
    wrong = None if is_template(warehouse) else aws.why_not_a_warehouse(kind, warehouse)
    if wrong is not None:
        raise CatalogError(("path",), f"the warehouse of {kind} {wrong}")
    if kind == "glue" and store and not store.get("region"):
        raise CatalogError(("secret",), "its secret needs a region: it says which Glue to ask")


def check_signing(
    endpoint: Any, authorization: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    """`given` are the ATTACH options in DuckDB's names, `options` those of the description."""
    for key, owner in {**dict.fromkeys(aws.OPTIONS, "sigv4"), "default_region": "oauth2"}.items():
        if key in given and owner != authorization:
            raise CatalogError(place_of(options, key), f"goes with {owner}, not with {authorization}")
    if authorization == "sigv4" and endpoint is not None and not is_template(str(endpoint)):
        missing = aws.missing_scope(str(endpoint), given)
        if missing is not None:
            raise CatalogError(
                place_of(options, "endpoint"),
                f"no SERVICE.REGION in this host, for DuckDB to sign for: give {missing}",
            )


def check_oauth(
    oauth: Mapping[str, Any], authorization: str, options: Mapping[str, Any], *, named: bool
) -> None:
    if authorization != "oauth2":
        return
    where: tuple[str, ...] = ("secret",) if named else ("options",)
    check_single_source(oauth, where)
    if "token" not in oauth and not {"client_id", "client_secret"} <= oauth.keys():
        missing = [key for key in ("client_id", "client_secret") if key not in oauth]
        if len(missing) == 1:
            raise CatalogError(where, f"{missing[0]} is missing beside the other")
        raise CatalogError(
            where,
            "no credentials: give client_id and client_secret, credential, token, the name of a secret, or "
            "`authorization_type: none`",
        )
    uri = oauth.get("oauth2_server_uri")
    if uri is not None and not is_template(str(uri)) and not _URI.match(str(uri)):
        where = where if named else place_of(options, "oauth2_server_uri")
        raise CatalogError(where, "the token endpoint's URI must be http://HOST or https://HOST, with a path")
    if str(oauth.get("oauth2_grant_type", "client_credentials")) != "client_credentials":
        raise CatalogError(where, "oauth2_grant_type must be client_credentials, the only one DuckDB has")


def check_single_source(oauth: Mapping[str, Any], where: tuple[str, ...]) -> None:
    if "token" in oauth and ("client_id" in oauth or "client_secret" in oauth):
        raise CatalogError(where, "credentials come from two sources: a token, and a client's ID and secret")


def names_of(oauth: Mapping[str, Any]) -> str:
    return ", ".join(sorted(oauth))
