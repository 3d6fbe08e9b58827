"""An Iceberg catalog as a target's `attach` describes it: read, checked and put into one form.

Two spellings are understood: the one of the floe platform (`path: iceberg:<name>` with `catalog_uri`,
`catalog_name`, `oauth_server_uri`, `credential`), which no DuckDB accepts, and DuckDB's own. Pure functions;
a value that is still a dbt expression is taken as it is.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor_duckdb import aws
from floe_monitor_duckdb.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PREFIX = "iceberg:"
EXTENSIONS = ("avro", "httpfs", "iceberg")
"""What an Iceberg catalog needs, in the order of loading."""

_ALIASES = {
    "catalog_uri": "endpoint",
    "catalog_name": "warehouse",
    "oauth_server_uri": "oauth2_server_uri",
    "bearer_token": "token",
    "scope": "oauth2_scope",
}
OAUTH = ("client_id", "client_secret", "token", "oauth2_server_uri", "oauth2_scope", "oauth2_grant_type")
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
"""ATTACH options of DuckDB 1.5.5 that need nothing of us but to be handed on."""
_KNOWN = frozenset({*_ALIASES, *OAUTH, *_PLAIN, *aws.OPTIONS, "credential", "endpoint", "warehouse"}) | {
    "endpoint_type",
    "authorization_type",
}
SECRET_KEYS = frozenset({*OAUTH, "endpoint", "extra_http_headers"})
CREDENTIAL_KEYS = frozenset({"client_id", "client_secret", "credential", "token"})
"""What `credentials` may hold for an attach, as `<alias>.<key>`."""

DEFAULT_SCOPE = "PRINCIPAL_ROLE:ALL"
"""What DuckDB asks for where no scope is given."""

_AUTHORIZATIONS = ("oauth2", "sigv4", "none")
_SECRET_TYPES = frozenset({"iceberg", "s3", "aws"})
_URI = re.compile(r"^https?://[^\s/?#@]+(/[^\s?#]*)?$", re.IGNORECASE)
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)


class CatalogError(Exception):
    """This description cannot work. `path` leads to the key, relative to the attach entry."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class Catalog:
    """One catalog in DuckDB's terms.

    `authorization` is `oauth2`, `sigv4` or `none`; `oauth` has DuckDB's parameters of an ICEBERG secret.
    `secret` names the secret to attach with; it is to be created from `oauth` where `makes_secret`.
    `store` is the S3 secret whose keys sign the requests, where that is known here.
    """

    alias: str
    warehouse: str
    endpoint: str | None
    endpoint_type: str | None = None
    authorization: str = "oauth2"
    oauth: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    store: Mapping[str, Any] = field(default_factory=dict)
    secret: str | None = None
    makes_secret: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = False
    required: bool = False
    probe_table: str | None = None

    @property
    def token_uri(self) -> str:
        """Where DuckDB asks for a token."""
        given = self.oauth.get("oauth2_server_uri")
        return str(given) if given else f"{(self.endpoint or '').rstrip('/')}/v1/oauth/tokens"

    @property
    def address(self) -> str | None:
        """Base URI of its REST requests; None where only DuckDB knows it."""
        if self.authorization != "sigv4":
            return self.endpoint
        endpoint = self.endpoint
        if self.endpoint_type is not None:
            region = self.store.get("region")
            endpoint = aws.endpoint_of(self.endpoint_type, self.warehouse, region and str(region))
        return None if endpoint is None else aws.with_scheme(endpoint)

    @property
    def signer(self) -> Signer | None:
        """What signs its REST requests as DuckDB does; None where the keys are not in the configuration."""
        service, region = aws.scope_of(self.address or "")
        service = str(self.options.get("sigv4_service") or service or "")
        region = str(self.options.get("sigv4_region") or region or "")
        key_id, secret = self.store.get("key_id"), self.store.get("secret")
        if not (service and region and key_id and secret):
            return None
        token = self.store.get("session_token")
        return Signer(str(key_id), str(secret), service, region, None if token is None else str(token))

    def attach_options(self) -> dict[str, Any]:
        """ATTACH's own options, without `type`, `secret` and `read_only`; no credential is among them."""
        found: dict[str, Any] = {}
        if self.endpoint is not None:
            found["endpoint"] = self.endpoint
        if self.endpoint_type is not None:
            found["endpoint_type"] = self.endpoint_type
        elif self.authorization != "oauth2":
            found["authorization_type"] = self.authorization
        return {**found, **self.options}


def is_iceberg(path: str, kind: str | None) -> bool:
    return (kind or "").lower() == "iceberg" or path.startswith(PREFIX)


def read(
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
    given = _normalized(options)
    for key, item in (credentials or {}).items():
        if key in given and given[key] != item:
            raise CatalogError(("options", key), "is given twice, here and in `credentials`")
        given[key] = item
    _split_credential(given)
    named = _secret_named(secret, secrets)
    warehouse = _warehouse(path, given)
    endpoint, endpoint_type = given.pop("endpoint", None), given.pop("endpoint_type", None)
    authorization = given.pop("authorization_type", None)
    oauth = {key: given.pop(key) for key in OAUTH if key in given}
    if secret is not None and oauth:
        raise CatalogError(
            ("secret",), f"credentials come from two sources: the secret, and {_list(oauth)} beside it"
        )
    kind_of = str((named or {}).get("type", "")).lower()
    headers: dict[str, str] = {}
    makes_secret = bool(oauth)
    if makes_secret and _secret_or_none(f"{alias}_catalog", secrets) is not None:
        raise CatalogError(("alias",), "the secret made for it would have the name of one of `secrets`")
    if named is not None and kind_of == "iceberg":
        lower = {str(key).lower(): item for key, item in named.items()}
        oauth = {key: lower[key] for key in OAUTH if lower.get(key) is not None}
        headers = dict(lower.get("extra_http_headers") or {})
        own = lower.get("endpoint")
        endpoint = endpoint if endpoint is not None else own
        _split_keys(oauth, ("secret",))
        if own is not None:
            oauth.setdefault("oauth2_server_uri", f"{str(own).rstrip('/')}/v1/oauth/tokens")
        if "token" not in oauth and "oauth2_server_uri" not in oauth:
            raise CatalogError(("secret",), "its secret needs oauth2_server_uri, where to ask for a token")
    authorization = _authorization(authorization, endpoint_type, oauth, kind_of)
    store = _store(named, secrets) if authorization == "sigv4" else {}
    if endpoint_type is None:
        _check_endpoint(endpoint, authorization, _place(options, "endpoint"))
    else:
        _check_aws(endpoint, str(endpoint_type).lower(), warehouse, store, options)
    _check_signing(endpoint, authorization, given, options)
    _check_oauth(oauth, authorization, options, named=secret is not None)
    return Catalog(
        alias=alias,
        warehouse=warehouse,
        endpoint=None if endpoint is None else str(endpoint).rstrip("/"),
        endpoint_type=None if endpoint_type is None else str(endpoint_type).lower(),
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


def _normalized(options: Mapping[str, Any]) -> dict[str, Any]:
    """DuckDB's own keys; `credential` stays to be split."""
    found: dict[str, Any] = {}
    for key, item in options.items():
        lower = key.lower()
        if lower in {"type", "secret", "read_only"}:
            raise CatalogError(("options", key), f"write `{lower}` beside `options`, not in it")
        if lower not in _KNOWN:
            near = difflib.get_close_matches(lower, sorted(_KNOWN), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(_KNOWN))}"
            raise CatalogError(("options", key), f"unknown option of an Iceberg catalog{hint}")
        if item is None:
            continue
        name = _ALIASES.get(lower, lower)
        if name in found and found[name] != item:
            raise CatalogError(("options", key), f"is `{name}`, which is given twice with two values")
        found[name] = item
    return found


def _split_credential(given: dict[str, Any]) -> None:
    credential = given.pop("credential", None)
    if credential is None:
        return
    if "client_id" in given or "client_secret" in given or "token" in given:
        raise CatalogError(
            ("options", "credential"), "credentials come from two sources: `credential` and others beside it"
        )
    text = str(credential)
    masked = _EXPRESSION.sub(lambda found: "x" * len(found[0]), text)
    at = masked.find(":")
    if at < 1 or at == len(text) - 1:
        raise CatalogError(
            ("options", "credential"),
            "must be `ID:SECRET`, each part of its own; or give client_id and client_secret",
        )
    given["client_id"], given["client_secret"] = text[:at], text[at + 1 :]


def _secret_or_none(name: str, secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((each for each in secrets if str(each.get("name", "")).lower() == name.lower()), None)


def _secret_named(name: str | None, secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    if name is None:
        return None
    found = _secret_or_none(name, secrets)
    if found is None:
        raise CatalogError(("secret",), "there is no secret of this name in `secrets`")
    if str(found.get("type", "")).lower() not in _SECRET_TYPES:
        raise CatalogError(
            ("secret",), "an Iceberg catalog is attached with a secret of type iceberg (or s3, or aws)"
        )
    return found


def _store(named: Mapping[str, Any] | None, secrets: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The secret that signs: the one named, else the only one DuckDB can choose. Empty where its keys come
    from elsewhere than the configuration."""
    if named is None:
        found = [each for each in secrets if str(each.get("type", "")).lower() in {"s3", "aws"}]
        named = found[0] if len(found) == 1 else {}
    lower = {str(key).lower(): item for key, item in named.items()}
    return lower if str(lower.get("provider", "config")).lower() == "config" else {}


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


def _authorization(given: Any, endpoint_type: Any, oauth: Mapping[str, Any], held: str) -> str:
    if endpoint_type is not None:
        if str(endpoint_type).lower() not in aws.ENDPOINT_TYPES:
            allowed = ", ".join(aws.ENDPOINT_TYPES)
            raise CatalogError(("options", "endpoint_type"), f"must be one of {allowed}")
        if given is not None:
            raise CatalogError(("options", "authorization_type"), "does not go with endpoint_type")
        given = "sigv4"
    if given is None:
        given = "sigv4" if held in {"s3", "aws"} else "oauth2"
    chosen = str(given).lower()
    if chosen not in _AUTHORIZATIONS:
        raise CatalogError(("options", "authorization_type"), f"must be one of {', '.join(_AUTHORIZATIONS)}")
    if chosen != "oauth2" and oauth:
        raise CatalogError(
            ("options", "authorization_type"), f"does not use what else is given: {_list(oauth)}"
        )
    if chosen == "none" and held:
        raise CatalogError(("secret",), "is of no use without authorization")
    if chosen == "oauth2" and held in {"s3", "aws"}:
        raise CatalogError(("secret",), f"OAuth2 needs a secret of type iceberg, not {held}")
    if chosen == "sigv4" and held == "iceberg":
        raise CatalogError(("secret",), "SigV4 needs a secret of type s3, not iceberg")
    return chosen


def _place(options: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The path to the key that gives this option, under whichever name; else to all options."""
    found = next((key for key in options if _ALIASES.get(key.lower(), key.lower()) == name), None)
    return ("options",) if found is None else ("options", found)


def _check_endpoint(endpoint: Any, authorization: str, where: tuple[str, ...]) -> None:
    if endpoint is None:
        raise CatalogError(("options",), "catalog_uri (or endpoint) is missing: where the catalog answers")
    text = str(endpoint)
    if "{{" in text:
        return
    if authorization == "sigv4":
        if not aws.is_address(text):
            raise CatalogError(where, "must be SERVICE.REGION.amazonaws.com/iceberg, or a URI")
    elif not _URI.match(text):
        raise CatalogError(where, "the catalog's URI must be http://HOST or https://HOST, with a path")


def _check_aws(
    endpoint: Any, kind: str, warehouse: str, store: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    if endpoint is not None:
        raise CatalogError(_place(options, "endpoint"), "endpoint_type already says which endpoint to use")
    wrong = None if "{{" in warehouse else aws.why_not_a_warehouse(kind, warehouse)
    if wrong is not None:
        raise CatalogError(("path",), f"the warehouse of {kind} {wrong}")
    if kind == "glue" and store and not store.get("region"):
        raise CatalogError(("secret",), "its secret needs a region: it says which Glue to ask")


def _check_signing(
    endpoint: Any, authorization: str, given: Mapping[str, Any], options: Mapping[str, Any]
) -> None:
    for key, owner in {**dict.fromkeys(aws.OPTIONS, "sigv4"), "default_region": "oauth2"}.items():
        if key in given and owner != authorization:
            raise CatalogError(_place(options, key), f"goes with {owner}, not with {authorization}")
    if authorization == "sigv4" and endpoint is not None and "{{" not in str(endpoint):
        missing = aws.missing_scope(str(endpoint), given)
        if missing is not None:
            raise CatalogError(
                _place(options, "endpoint"),
                f"no SERVICE.REGION in this host, for DuckDB to sign for: give {missing}",
            )


def _check_oauth(
    oauth: Mapping[str, Any], authorization: str, options: Mapping[str, Any], *, named: bool
) -> None:
    if authorization != "oauth2":
        return
    where: tuple[str, ...] = ("secret",) if named else ("options",)
    _split_keys(oauth, where)
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
    if uri is not None and "{{" not in str(uri) and not _URI.match(str(uri)):
        where = where if named else _place(options, "oauth2_server_uri")
        raise CatalogError(where, "the token endpoint's URI must be http://HOST or https://HOST, with a path")
    if str(oauth.get("oauth2_grant_type", "client_credentials")) != "client_credentials":
        raise CatalogError(where, "oauth2_grant_type must be client_credentials, the only one DuckDB has")


def _split_keys(oauth: Mapping[str, Any], where: tuple[str, ...]) -> None:
    if "token" in oauth and ("client_id" in oauth or "client_secret" in oauth):
        raise CatalogError(where, "credentials come from two sources: a token, and a client's ID and secret")


def _list(oauth: Mapping[str, Any]) -> str:
    return ", ".join(sorted(oauth))
