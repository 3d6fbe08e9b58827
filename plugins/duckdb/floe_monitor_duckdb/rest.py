"""What an Iceberg REST catalog says of a warehouse, asked with the token or signature that DuckDB would use.

DuckDB's own ATTACH proves little: it asks for the configuration, which some catalogs give to anybody and for
warehouses that do not exist; and its listing takes a refusal for an empty catalog. So the namespaces are
listed here, which is the first request that a catalog cannot answer for a warehouse it does not have.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, unquote

from floe_monitor.compute import ComputeError, ComputeTimeoutError, ErrorType
from floe_monitor_duckdb import aws, bounded_http, tokens
from floe_monitor_duckdb.bounded_http import Answer, Trust, site_of

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor_duckdb.iceberg import Catalog
    from floe_monitor_duckdb.tokens import TokenCache


class RestError(ComputeError):
    """The catalog answers, but not as one that can be worked with."""

    error_type: ClassVar[ErrorType] = ErrorType.CATALOG


class RestAuthenticationError(RestError):
    error_type = ErrorType.AUTHENTICATION


class RestPermissionError(RestError):
    error_type = ErrorType.PERMISSION


_REFUSED: dict[ErrorType, type[RestError]] = {
    ErrorType.AUTHENTICATION: RestAuthenticationError,
    ErrorType.PERMISSION: RestPermissionError,
}


class Session:
    """The requests of one probe to one catalog. Each ends by the deadline; each raises `ComputeError`."""

    def __init__(self, catalog: Catalog, cache: TokenCache, deadline: Deadline, trust: Trust) -> None:
        self._catalog = catalog
        self._cache = cache
        self._deadline = deadline
        self._trust = trust
        self._signer = catalog.signer
        self._path = ""
        self._missing = ""
        self.warnings: list[str] = []
        self.token: str | None = None
        self._fresh = True

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
            found = self._cache.get(self._catalog, self._deadline, self._trust)
            self.token, self._fresh = found.value, found.fresh
            return
        self.token = str(given)
        expires = tokens.expiry(self.token)
        if expires is not None and expires <= time.time():
            when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(expires))
            raise RestAuthenticationError(f"the bearer token expired at {when}")

    def configure(self) -> None:
        """Ask for the configuration: the catalog is reachable, and speaks for this warehouse or not."""
        warehouse = self._catalog.warehouse
        # `:` is Glue's own name for the account's default catalog, which DuckDB asks for by naming none.
        named = "" if (self._catalog.endpoint_type, warehouse) == ("glue", ":") else warehouse
        answer = self._get("/v1/config" + (f"?warehouse={quote(named, safe='')}" if named else ""))
        told = self._told(answer)
        if answer.status == 404 and "error" in told:
            self._missing = self._no_warehouse()
            return
        self._require(answer, told, "configuration")
        self._path = _path(told, whole=self._catalog.options.get("encode_entire_prefix") is not None)

    def list_namespaces(self) -> None:
        """Prove that the warehouse exists and that this client may list it."""
        if self._missing:
            raise RestError(self._missing)
        answer = self._get(f"/v1{self._path}/namespaces?pageSize=1")
        told = self._told(answer)
        if answer.status == 404:
            raise RestError(self._no_warehouse())
        if answer.status == 403 and self._signer is None:
            raise RestPermissionError(
                f"these credentials may not list warehouse {self._catalog.warehouse!r} (403)"
            )
        self._require(answer, told, "list of namespaces")
        if not isinstance(told.get("namespaces"), list):
            raise RestError(f"{self._site} answers without a list of namespaces")
        if not told["namespaces"]:
            self.warnings.append("the catalog lists no namespace: it is empty, or not the one that is meant")

    @property
    def _site(self) -> str:
        return site_of(self._catalog.address or "")

    def _no_warehouse(self) -> str:
        name = self._catalog.warehouse
        return f"the catalog at {self._site} shows these credentials no warehouse {name!r} (404)"

    def _get(self, path: str) -> Answer:
        answer = self._get_once(path)
        if answer.status == 401 and self.token is not None and not self._fresh:
            # Revoked before its time, or the catalog restarted with another key: one more, with a new token.
            self._cache.forget(self._catalog, self.token)
            self.authorize()
            answer = self._get_once(path)
        return answer

    def _get_once(self, path: str) -> Answer:
        url = f"{self._catalog.address}{path}"
        headers = {**self._catalog.headers, "Accept": "application/json"}
        if self._signer is not None:
            headers.update(self._signer.headers("GET", url, now=time.time()))
        elif self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        return bounded_http.exchange(
            "GET",
            url,
            deadline=self._deadline,
            headers=headers,
            trust=self._trust,
        )

    def _told(self, answer: Answer) -> dict[str, Any]:
        try:
            found = json.loads(answer.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _require(self, answer: Answer, told: dict[str, Any], what: str) -> None:
        if answer.status == 200 and told:
            return
        refusal = None if self._signer is None else aws.refusal(answer)
        if refusal is not None:
            kind, said = refusal
            raise _REFUSED.get(kind, RestError)(
                f"the catalog at {self._site} gives no {what}: {said} ({answer.status}; {self._signer})"
            )
        if answer.moved_to is not None:
            raise RestError(f"{self._site} redirects to {answer.moved_to}, which is no HTTP address")
        if answer.status == 401:
            which = "the bearer token: wrong or expired" if "token" in self._catalog.oauth else "the token"
            raise RestAuthenticationError(f"the catalog at {self._site} refuses {which} (401)")
        if answer.status == 403:
            raise RestPermissionError(f"these credentials may not read the {what} at {self._site} (403)")
        if answer.status in (408, 504):
            raise ComputeTimeoutError(
                f"the catalog at {self._site} answers {answer.status}: behind it, no answer"
            )
        form = "" if told or not answer.body else ", and not as an Iceberg REST catalog does"
        raise RestError(f"no {what} from {self._site}: it answers {answer.status}{form}")


def _path(told: dict[str, Any], *, whole: bool) -> str:
    """The prefix that the catalog wants in its paths: what it overrides comes before what it defaults to.

    One that comes encoded is a single part of the path, as DuckDB reads it.
    """
    found = next(
        (
            part["prefix"]
            for part in (told.get("overrides"), told.get("defaults"))
            if isinstance(part, dict) and isinstance(part.get("prefix"), str)
        ),
        "",
    )
    decoded = unquote(found)
    parts = [decoded] if whole or decoded != found else decoded.split("/")
    return "".join(f"/{quote(part, safe='')}" for part in parts if part)
