"""OAuth2 tokens of Iceberg catalogs, asked for as DuckDB asks."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote

from floe_monitor.compute.toolkit.http_address import site_of
from floe_monitor.compute.toolkit.http_client import REDIRECTS
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_duckdb.iceberg.catalog import DEFAULT_SCOPE
from floe_monitor_duckdb.iceberg.errors import CatalogAnswerError, CatalogAuthenticationError, reason_in

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer
    from floe_monitor_duckdb.iceberg.catalog import Catalog
    from floe_monitor_duckdb.iceberg.transport import Transport

_UNSTATED = 60.0
"""How long a token is used whose life the server does not state."""
_LONGEST = 60.0
"""How long one is used that lives longer: dbt asks for its own in each run, so that a secret that is no
longer good has to be noticed while a former token still is."""


def fetch_token(catalog: Catalog, transport: Transport) -> tuple[str, float]:
    """A new token and how many seconds it lives; the request is DuckDB 1.5's own, byte for byte.

    So it goes without the secret's `extra_http_headers`, which DuckDB sends to the catalog alone.
    Raises a `ComputeError`.
    """
    pair = f"{catalog.oauth['client_id']}:{catalog.oauth['client_secret']}"
    scope = quote(str(catalog.oauth.get("oauth2_scope") or DEFAULT_SCOPE), safe="")
    answer = transport.request(
        "POST",
        catalog.token_uri,
        {
            "Authorization": "Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        f"grant_type=client_credentials&scope={scope}".encode(),
    )
    without = "; DuckDB asks for it without the secret's extra_http_headers" if catalog.headers else ""
    return _read_token(answer, site_of(catalog.token_uri), without)


def _read_token(answer: HttpAnswer, site: str, without: str) -> tuple[str, float]:
    """`without` is what may explain a refusal."""
    document = json_object(answer.body)
    if answer.status in (400, 401, 403):
        reason = document.get("error")
        known = f" ({reason})" if isinstance(reason, str) and reason.replace("_", "").isalnum() else ""
        raise CatalogAuthenticationError(
            f"the token endpoint at {site} refuses the credentials: {answer.status}{known}{without}"
        )
    if answer.status in REDIRECTS:
        raise CatalogAnswerError(
            f"the token endpoint at {site} redirects ({answer.status}), which DuckDB does not follow"
        )
    token = document.get("access_token")
    if answer.status != 200 or not isinstance(token, str) or not token:
        raise CatalogAnswerError(
            f"no token from {site}: it answers {answer.status}{reason_in(document)}{without}"
        )
    if str(document.get("token_type", "bearer")).lower() != "bearer":
        raise CatalogAnswerError(f"the token from {site} is of a type other than bearer")
    life = document.get("expires_in")
    if life is not None and (not isinstance(life, int) or isinstance(life, bool)):
        raise CatalogAnswerError(
            f"the token from {site} states an expires_in that is no integer: DuckDB fails"
        )
    return token, min(float(life) if life else _UNSTATED, _LONGEST)
