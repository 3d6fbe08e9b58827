"""An Iceberg catalog in DuckDB's terms, whatever the spelling in which a target describes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.sigv4 import Signer
from floe_monitor_duckdb.iceberg import aws

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "iceberg:"
EXTENSIONS = ("avro", "httpfs", "iceberg")
"""What an Iceberg catalog needs, in the order of loading."""
OAUTH = ("client_id", "client_secret", "token", "oauth2_server_uri", "oauth2_scope", "oauth2_grant_type")
CREDENTIAL_KEYS = frozenset({"client_id", "client_secret", "credential", "token"})
"""What `credentials` may hold for an attach, as `<alias>.<key>`."""
DEFAULT_SCOPE = "PRINCIPAL_ROLE:ALL"
"""What DuckDB asks for where no scope is given."""


class CatalogError(Exception):
    """This description cannot work. `path` leads to the key, relative to the attach entry."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How DuckDB speaks HTTP as it attaches for dbt."""

    ca_file: str | None = None
    """Whose certificates are accepted; without it, those that the system trusts."""
    verify: bool = True
    tries_next_address: bool = True
    """Whether a silent address is left for a name's next one, as curl does and httplib does not."""


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
