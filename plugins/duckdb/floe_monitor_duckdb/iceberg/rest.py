"""What an Iceberg REST catalog says of a warehouse, asked with the token or signature that DuckDB would use.

DuckDB's own ATTACH proves little: it asks for the configuration, which some catalogs give to any client and
for warehouses that do not exist; and its listing takes a refusal for an empty catalog. So the namespaces are
listed here, which is the first request that a catalog cannot answer for a warehouse it does not have.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from floe_monitor.compute import ComputeTimeoutError, ErrorType
from floe_monitor.compute.toolkit import web_tokens
from floe_monitor.compute.toolkit.http_address import site_of
from floe_monitor.compute.toolkit.responses import json_object
from floe_monitor_duckdb.iceberg import aws, tokens
from floe_monitor_duckdb.iceberg.errors import (
    CatalogAnswerError,
    CatalogAuthenticationError,
    CatalogPermissionError,
    reason_in,
)

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer
    from floe_monitor_duckdb.iceberg.catalog import Catalog
    from floe_monitor_duckdb.iceberg.token_cache import TokenCache
    from floe_monitor_duckdb.iceberg.transport import Transport

_MAX_PAGES = 20
"""Empty pages of one listing that are followed by their tokens."""
_GIVEN = "the token that its token endpoint gave: a role in the scope that is not granted, perhaps"
_REFUSED: dict[ErrorType, type[CatalogAnswerError]] = {
    ErrorType.AUTHENTICATION: CatalogAuthenticationError,
    ErrorType.PERMISSION: CatalogPermissionError,
}


class CatalogClient:
    """What one validation asks of one catalog. Each request ends by the deadline or raises `ComputeError`."""

    def __init__(self, catalog: Catalog, cache: TokenCache, transport: Transport) -> None:
        self._catalog = catalog
        self._cache = cache
        self._transport = transport
        self._signer = catalog.signer
        self._path = ""
        self._missing = ""
        self._warnings: list[str] = []
        self.token: str | None = None
        self._fresh = True

    @property
    def warnings(self) -> list[str]:
        return [*self._transport.warnings, *self._warnings]

    @property
    def can_ask(self) -> bool:
        """False where requests need a signature, and the keys for it are not in the configuration."""
        return self._catalog.address is not None and (
            self._catalog.authorization != "sigv4" or self._signer is not None
        )

    def authorize(self) -> None:
        """Have a token, from the cache or newly fetched; one that is configured is only looked at."""
        given = self._catalog.oauth.get("token")
        if given is None:
            found = self._cache.get(
                self._catalog,
                self._transport.deadline,
                lambda: tokens.fetch_token(self._catalog, self._transport),
            )
            self.token, self._fresh = found.value, found.fresh
            return
        self.token = str(given)
        expires = web_tokens.valid_until(self.token)
        if expires is not None and expires <= time.time():
            when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(expires))
            raise CatalogAuthenticationError(f"the bearer token expired at {when}")

    def configure(self) -> None:
        """Ask for the configuration: the catalog is reachable, and speaks for this warehouse or not."""
        warehouse = self._catalog.warehouse
        # `:` is Glue's own name for the account's default catalog, which DuckDB asks for by naming none.
        named = "" if (self._catalog.endpoint_type, warehouse) == ("glue", ":") else warehouse
        answer = self._get("/v1/config" + (f"?warehouse={quote(named, safe='')}" if named else ""))
        document = json_object(answer.body)
        if answer.status == 404 and "error" in document:
            self._missing = self._no_warehouse()
            return
        self._require(answer, document, "configuration")
        self._path = _path(document, whole=self._catalog.options.get("encode_entire_prefix") is not None)

    def list_namespaces(self) -> None:
        """Prove that the warehouse exists and that this client may list it."""
        if self._missing:
            raise CatalogAnswerError(self._missing)
        document = self._list_page("?pageSize=1")
        pages = 1
        while not document["namespaces"] and document.get("next-page-token") and pages < _MAX_PAGES:
            # A page may be empty and others follow: what these credentials may not see is left out of each.
            token = quote(str(document["next-page-token"]), safe="")
            document = self._list_page(f"?pageSize=100&pageToken={token}")
            pages += 1
        if not document["namespaces"]:
            more = f" on its first {pages} pages" if document.get("next-page-token") else ""
            self._warnings.append(
                f"the catalog lists no namespace{more}: it is empty, or not the one that is meant"
            )

    def _list_page(self, page: str) -> dict[str, Any]:
        answer = self._get(f"/v1{self._path}/namespaces{page}")
        document = json_object(answer.body)
        if answer.status == 404:
            raise CatalogAnswerError(self._no_warehouse())
        if answer.status == 403 and self._signer is None:
            name, reason = self._catalog.warehouse, reason_in(document)
            raise CatalogPermissionError(f"these credentials may not list warehouse {name!r}: 403{reason}")
        self._require(answer, document, "list of namespaces")
        if not isinstance(document.get("namespaces"), list):
            raise CatalogAnswerError(f"{self._site} answers without a list of namespaces")
        return document

    @property
    def _site(self) -> str:
        return site_of(self._catalog.address or "")

    def _no_warehouse(self) -> str:
        name = self._catalog.warehouse
        return f"the catalog at {self._site} shows these credentials no warehouse {name!r} (404)"

    def _get(self, path: str) -> HttpAnswer:
        answer = self._get_once(path)
        if answer.status == 401 and self.token is not None and not self._fresh:
            # Revoked before its time, or the catalog restarted with another key: one more, with a new token.
            self._cache.forget(self._catalog, self.token)
            self.authorize()
            answer = self._get_once(path)
        return answer

    def _get_once(self, path: str) -> HttpAnswer:
        url = f"{self._catalog.address}{path}"
        headers = {**self._catalog.headers, "Accept": "application/json"}
        if self._signer is not None:
            headers.update(self._signer.headers("GET", url, now=time.time()))
        elif self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return self._transport.request("GET", url, headers)

    def _require(self, answer: HttpAnswer, document: dict[str, Any], what: str) -> None:
        if answer.status == 200 and document:
            return
        refusal = None if self._signer is None else aws.refusal(answer)
        if refusal is not None:
            kind, reason = refusal
            raise _REFUSED.get(kind, CatalogAnswerError)(
                f"the catalog at {self._site} gives no {what}: {reason} ({answer.status}; {self._signer})"
            )
        if answer.moved_to is not None:
            raise CatalogAnswerError(f"{self._site} redirects to {answer.moved_to}, which is no HTTP address")
        if answer.status == 401:
            which = "the bearer token: wrong or expired" if "token" in self._catalog.oauth else _GIVEN
            raise CatalogAuthenticationError(f"the catalog at {self._site} refuses {which} (401)")
        if answer.status == 403:
            raise CatalogPermissionError(
                f"these credentials may not read the {what} at {self._site}: 403{reason_in(document)}"
            )
        if answer.status in (408, 504):
            raise ComputeTimeoutError(
                f"the catalog at {self._site} answers {answer.status}: behind it, no answer"
            )
        form = "" if document or not answer.body else ", and not as an Iceberg REST catalog does"
        raise CatalogAnswerError(
            f"no {what} from {self._site}: it answers {answer.status}{reason_in(document)}{form}"
        )


def _path(document: dict[str, Any], *, whole: bool) -> str:
    """The prefix that the catalog wants in its paths: what it overrides comes before what it defaults to.

    One that comes encoded is a single part of the path, as DuckDB reads it.
    """
    found = next(
        (
            part["prefix"]
            for part in (document.get("overrides"), document.get("defaults"))
            if isinstance(part, dict) and isinstance(part.get("prefix"), str)
        ),
        "",
    )
    decoded = unquote(found)
    parts = [decoded] if whole or decoded != found else decoded.split("/")
    return "".join(f"/{quote(part, safe='')}" for part in parts if part)
