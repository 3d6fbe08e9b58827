"""The checks of the Iceberg catalogs that a target attaches.

Each catalog is asked over HTTP first, with a bound that holds whatever answers; only when it has proved sound
does DuckDB attach it, with the same token, and read a row of the `probe_table` where there is one.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeError, ComputeTimeoutError, Deadline, ErrorType, Failure, deadline
from floe_monitor.compute import ConnectionStatus as Status
from floe_monitor_duckdb import catalogs, engine, iceberg
from floe_monitor_duckdb.errors import classify
from floe_monitor_duckdb.extensions import MissingExtensionError
from floe_monitor_duckdb.quoting import identifier
from floe_monitor_duckdb.rest import Session

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from duckdb import DuckDBPyConnection

    from floe_monitor.compute import Validation
    from floe_monitor_duckdb.config import DuckDBConfig
    from floe_monitor_duckdb.iceberg import Catalog
    from floe_monitor_duckdb.tokens import TokenCache

_MARGIN = 0.2
"""Seconds before the deadline at which waiting ends, so that what was waited for can still be named."""


def check(
    config: DuckDBConfig,
    connection: DuckDBPyConnection,
    validation: Validation,
    cache: TokenCache,
    loaded: Collection[str],
) -> None:
    """Every catalog in turn; each has an equal share of the time that is left. `loaded` are extensions."""
    found = config.catalogs()
    for index, catalog in enumerate(found):
        left = deadline.remaining()
        share = (left - min(_MARGIN, left / 10)) / (len(found) - index)
        _Attach(config, connection, validation, catalog, Deadline.after(share)).run(cache, loaded)


class _Attach:
    """One catalog, step by step; the first step that fails is the last."""

    def __init__(
        self,
        config: DuckDBConfig,
        connection: DuckDBPyConnection,
        validation: Validation,
        catalog: Catalog,
        until: Deadline,
    ) -> None:
        self._config = config
        self._connection = connection
        self._validation = validation
        self._catalog = catalog
        self._until = until

    def run(self, cache: TokenCache, loaded: Collection[str]) -> None:
        catalog = self._catalog
        session = Session(catalog, cache, self._until, self._config.trust)
        steps: list[tuple[str, Callable[[], None]]] = []
        if catalog.authorization == "oauth2":
            steps.append(("token", session.authorize))
        if session.can_ask:
            steps += [("catalog", session.configure), ("warehouse", session.list_namespaces)]
        steps.append(("attach", lambda: self._attach(session.token, loaded)))
        if catalog.probe_table is not None:
            steps.append(("table", self._read_a_row))
        elif not session.can_ask:
            steps.append(("warehouse", _refuse_to_guess))
        for name, body in steps:
            if not self._step(name, body):
                return
        for warning in session.warnings:
            self._validation.warn(f"{catalog.alias}: {warning}")
        if catalog.probe_table is None:
            self._validation.warn(
                f"{catalog.alias}: whether its object store can be read is not checked: name a probe_table"
            )
        if catalog.warehouse.startswith("s3://"):
            self._validation.warn(f"{catalog.alias}: DuckDB attaches an s3:// warehouse read-only")

    def _step(self, name: str, body: Callable[[], None]) -> bool:
        """Whether it passed."""
        catalog = self._catalog
        with self._validation.check(
            f"{name}:{catalog.alias}", on_failure=Status.UNHEALTHY if catalog.required else Status.DEGRADED
        ) as check:
            try:
                self._require_time()
                body()
            except Exception as error:  # noqa: BLE001 - named like any other, with the catalog's alias
                failure = _name(error)
                worsen = check.fail if catalog.required else check.degrade
                worsen(f"{catalog.alias}: {failure.message}", failure.error_type)
        return check.status is Status.HEALTHY

    def _require_time(self) -> None:
        if self._until.expired:
            raise ComputeTimeoutError("no time left for this step")

    def _attach(self, token: str | None, loaded: Collection[str]) -> None:
        missing = [name for name in iceberg.EXTENSIONS if name not in loaded]
        if missing:
            raise MissingExtensionError(f"cannot be attached without extension {missing[0]!r}")
        self._bound_http()
        catalog = self._catalog
        secret = catalog.secret
        if token is not None:
            secret = f"{catalog.alias}_probe"
            given: dict[str, Any] = {"type": "iceberg", "name": secret, "token": token}
            if catalog.headers:
                given["extra_http_headers"] = dict(catalog.headers)
            self._connection.execute(catalogs.secret_sql(given))
        elif catalog.authorization == "sigv4":
            self._create_secrets()
        self._connection.execute(catalogs.attach_sql(catalog, secret=secret))

    def _read_a_row(self) -> None:
        self._bound_http()
        if self._catalog.authorization != "sigv4":
            self._create_secrets()
        namespace, _, table = (self._catalog.probe_table or "").rpartition(".")
        name = ".".join(identifier(part) for part in (self._catalog.alias, namespace, table))
        with engine.interrupted_in_time(self._connection):
            self._connection.execute(f"SELECT * FROM {name} LIMIT 1").fetchall()  # noqa: S608 - quoted names

    def _bound_http(self) -> None:
        """Each of DuckDB's exchanges is to end in time: in whole seconds, its only unit, without retries."""
        self._connection.execute(f"SET http_timeout = {max(1, int(self._until.remaining()))}")
        self._connection.execute("SET http_retries = 0")

    def _create_secrets(self) -> None:
        for secret in self._config.all_secrets():
            if secret.type.lower() != "iceberg":
                given = {**secret.model_dump(exclude_none=True), "persistent": False}
                self._connection.execute(catalogs.secret_sql(given))


def _refuse_to_guess() -> None:
    raise _UnprovedError(
        "whether the warehouse may be listed is not known, for which keys sign is DuckDB's to find out: "
        "name the `secret`, or a `probe_table`"
    )


_NOT_THE_FILE = re.compile(r"magic (number|bytes)", re.IGNORECASE)


class _UnprovedError(ComputeError):
    error_type = ErrorType.CATALOG


def _name(error: Exception) -> Failure:
    current = deadline.current()
    if isinstance(error, ComputeError):
        return Failure(error.error_type, str(error))
    if current is not None and current.expired:
        return Failure(ErrorType.TIMEOUT, f"no answer within the time allowed ({type(error).__name__})")
    if isinstance(error, MissingExtensionError):
        return Failure(ErrorType.EXTENSION, str(error))
    found = classify(error)
    if _NOT_THE_FILE.search(found.message):
        # An answer that is no file: S3 sends one in place of what lies in another region.
        return Failure(found.error_type, f"{found.message}: the store sends no such file (another region?)")
    return found
