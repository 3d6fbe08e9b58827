"""The checks of the Iceberg catalogs that a target attaches.

Each catalog is asked over HTTP first, with a bound that holds whatever answers; only when it has proved sound
does DuckDB attach it, with the same token, and read a row of the `probe_table` where there is one.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeError, Failure, deadline, note_server
from floe_monitor.compute import ConnectionStatus as Status
from floe_monitor.compute.toolkit.http_address import split_url
from floe_monitor_duckdb.errors import ClassifiedError, MissingExtensionError, classify
from floe_monitor_duckdb.iceberg.attachment import attach_sql, secret_sql
from floe_monitor_duckdb.iceberg.catalog import EXTENSIONS
from floe_monitor_duckdb.iceberg.errors import CatalogAnswerError
from floe_monitor_duckdb.iceberg.rest import CatalogClient
from floe_monitor_duckdb.iceberg.transport import Transport
from floe_monitor_duckdb.sql import identifier
from floe_monitor_duckdb.time_limit import interrupted_at, require_time

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Deadline, Validation
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor_duckdb.iceberg.catalog import Catalog, HttpOptions
    from floe_monitor_duckdb.iceberg.token_cache import TokenCache


@dataclass(frozen=True, slots=True)
class Engine:
    """The DuckDB that attaches, and what it was set up with."""

    connection: DuckDBPyConnection
    """With the session's secrets, but for those that catalogs are attached with by OAuth2."""
    extensions: Collection[str]
    """Those that are loaded."""


@dataclass(frozen=True, slots=True)
class Http:
    """What the requests of all validations share."""

    options: HttpOptions
    calls: BlockingCalls
    tokens: TokenCache


def examine(catalogs: Sequence[Catalog], engine: Engine, http: Http, validation: Validation) -> None:
    """Every catalog in turn; each has an equal share of the time that is left."""
    whole = deadline.with_margin()
    for index, catalog in enumerate(catalogs):
        limit = whole.share(1 / (len(catalogs) - index))
        _CatalogChecks(catalog, engine, http, validation, limit).run()


class _CatalogChecks:
    """Those of one catalog, step by step; the first step that fails is the last."""

    def __init__(
        self, catalog: Catalog, engine: Engine, http: Http, validation: Validation, limit: Deadline
    ) -> None:
        self._catalog = catalog
        self._engine = engine
        self._validation = validation
        self._limit = limit
        self._client = CatalogClient(catalog, http.tokens, Transport(http.options, http.calls, limit))

    def run(self) -> None:
        with suppress(ComputeError):  # what is no address is said in a check
            note_server(split_url(self._catalog.address or "")[0].host)
        if all(self._check(name, step) for name, step in self._steps()):
            self._warn()

    def _steps(self) -> list[tuple[str, Callable[[], None]]]:
        steps: list[tuple[str, Callable[[], None]]] = []
        if self._catalog.authorization == "oauth2":
            steps.append(("token", self._client.authorize))
        if self._client.can_ask:
            steps += [("catalog", self._client.configure), ("warehouse", self._client.list_namespaces)]
        steps.append(("attach", self._attach))
        if self._catalog.probe_table is not None:
            steps.append(("table", self._read_a_row))
        elif not self._client.can_ask:
            steps.append(("warehouse", _refuse_to_guess))
        return steps

    def _check(self, name: str, step: Callable[[], None]) -> bool:
        """Whether it passed."""
        catalog = self._catalog
        on_failure = Status.UNHEALTHY if catalog.required else Status.DEGRADED
        with self._validation.check(f"{name}:{catalog.alias}", on_failure=on_failure) as check:
            try:
                require_time(self._limit)
                step()
            except Exception as error:
                if _is_late():
                    raise
                error_type, message = classify_step(error)
                raise ClassifiedError(error_type, f"{catalog.alias}: {message}") from error
        return check.status is Status.HEALTHY

    def _warn(self) -> None:
        catalog, warn = self._catalog, self._validation.warn
        for warning in self._client.warnings:
            warn(f"{catalog.alias}: {warning}")
        if catalog.probe_table is None:
            warn(f"{catalog.alias}: whether its object store can be read is not checked: name a probe_table")
        if catalog.warehouse.startswith("s3://"):
            warn(f"{catalog.alias}: DuckDB attaches an s3:// warehouse read-only")

    def _attach(self) -> None:
        missing = [name for name in EXTENSIONS if name not in self._engine.extensions]
        if missing:
            raise MissingExtensionError(f"cannot be attached without extension {missing[0]!r}")
        self._bound_http()
        catalog, token = self._catalog, self._client.token
        secret = catalog.secret
        if token is not None:
            self._validation.hide(token)
            secret = f"{catalog.alias}_probe"
            given: dict[str, Any] = {"type": "iceberg", "name": secret, "token": token}
            if catalog.headers:
                given["extra_http_headers"] = dict(catalog.headers)
            self._execute(secret_sql(given))
        self._execute(attach_sql(catalog, secret=secret))

    def _read_a_row(self) -> None:
        self._bound_http()
        namespace, _, table = (self._catalog.probe_table or "").rpartition(".")
        name = ".".join(identifier(part) for part in (self._catalog.alias, namespace, table))
        with interrupted_at(deadline.with_margin(), self._engine.connection):
            self._execute(f"SELECT * FROM {name} LIMIT 1").fetchall()  # noqa: S608 - quoted names

    def _bound_http(self) -> None:
        """Each of DuckDB's exchanges is to end in time: in whole seconds, its only unit, without retries."""
        self._execute(f"SET http_timeout = {max(1, int(self._limit.remaining()))}")
        self._execute("SET http_retries = 0")

    def _execute(self, statement: str) -> DuckDBPyConnection:
        return self._engine.connection.execute(statement)


def _is_late() -> bool:
    """Whether the failure counts as a timeout, whatever it is."""
    current = deadline.current()
    return current is not None and current.expired


def _refuse_to_guess() -> None:
    raise CatalogAnswerError(
        "whether the warehouse may be listed is not known, for which keys sign is DuckDB's to find out: "
        "name the `secret`, or a `probe_table`"
    )


_NOT_THE_FILE = re.compile(r"magic (number|bytes)", re.IGNORECASE)


def classify_step(error: Exception) -> Failure:
    if isinstance(error, ComputeError):
        return Failure(error.error_type, str(error))
    found = classify(error)
    if _NOT_THE_FILE.search(found.message):
        # An answer that is no file: S3 sends one in place of what lies in another region.
        return Failure(found.error_type, f"{found.message}: the store sends no such file (another region?)")
    return found
