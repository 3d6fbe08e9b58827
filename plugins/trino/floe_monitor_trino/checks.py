"""What dbt needs of a coordinator: that it runs a statement; catalog, schema and the right to build there.

Nothing is written. `EXPLAIN` of a `CREATE TABLE` would be: planning it makes the table in some catalogs
(memory among them). `EXPLAIN (TYPE VALIDATE)` ends after the analysis, which asks the access control.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    ConnectionStatus,
    ErrorType,
)
from floe_monitor.compute.toolkit.limitations import degrade_by
from floe_monitor_trino.errors import (
    QueryError,
    TrinoError,
    UnexpectedAnswerError,
    UnfinishedError,
    limitation,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check, Validation
    from floe_monitor_trino.config import TrinoConfig
    from floe_monitor_trino.session import Session

PROBE_NAME = "floe_monitor_probe"
READ_ONLY_CONNECTORS = frozenset(
    {
        "druid", "elasticsearch", "jmx", "kafka", "loki", "opensearch", "pinot", "prometheus", "redis",
        "system", "tpcds", "tpch", "trino_thrift",
    }
)  # fmt: skip
"""Connectors of Trino's own that make no tables, whoever asks."""


def examine(config: TrinoConfig, validation: Validation, session: Session) -> None:
    """Ends early where no statement can tell more: at a coordinator that starts, or has no room."""
    with validation.check("server") as check:
        _judge_info(session, check)
    if check.status is not ConnectionStatus.HEALTHY:
        return
    if config.may_be_asleep:
        _leave_asleep(validation)
        return
    with validation.check("query") as check, degrade_by(limitation, check):
        if session.run("select 1 as id", "the query") != [[1]]:
            raise UnexpectedAnswerError("`select 1` brought something else than 1")
    if check.status is ConnectionStatus.HEALTHY:
        _Examination(config, session, validation).run()


def _judge_info(session: Session, check: Check) -> None:
    """By what is told without a login. A gateway may keep it to itself: then the query tells."""
    info = session.info or session.ask_info()
    if info.starting:
        check.degrade("the coordinator is starting", ErrorType.CONNECTION)
    elif not info.coordinator:
        check.fail("it is a worker of the cluster, not its coordinator", ErrorType.CONFIGURATION)
    elif info.version:
        check.message = f"version {info.version}"


def _leave_asleep(validation: Validation) -> None:
    with validation.check("asleep") as check:
        check.degrade(
            "whether the cluster is suspended is not to be seen, and a statement would resume it: no more is "
            "asked; set wake_cluster to have it probed",
            ErrorType.CONFIGURATION,
        )


class _Examination:
    def __init__(self, config: TrinoConfig, session: Session, validation: Validation) -> None:
        self._config, self._session, self._validation = config, session, validation
        self._catalog = config.catalog_name.lower()
        self._schema = config.schema_.lower()

    def run(self) -> None:
        with self._beyond_debug("workers") as check:
            self._judge_workers(check)
        if check.status is not ConnectionStatus.HEALTHY:
            return
        with self._beyond_debug("catalog") as check:
            self._judge_catalog(check)
        if check.status is not ConnectionStatus.HEALTHY:
            return
        with self._beyond_debug("schema") as check:
            exists = self._has_schema()
        if check.status is not ConnectionStatus.HEALTHY:
            return
        with self._beyond_debug("write") as check:
            self._validate_creation()
            if not exists:
                self._try_to_create_schema(check)

    @contextmanager
    def _beyond_debug(self, name: str) -> Iterator[Check]:
        """What `dbt debug` does not look at: a refusal is DEGRADED, and only no answer is worse."""
        with (
            self._validation.check(
                name,
                on_failure=ConnectionStatus.DEGRADED,
                fatal=(ComputeConnectionError, ComputeTimeoutError, UnfinishedError),
            ) as check,
            degrade_by(limitation, check),
        ):
            yield check

    def _judge_workers(self, check: Check) -> None:
        """Whether dbt's queries begin. A probe's own read no table, and begin with a single worker.

        How many have to be active is a session property, whose default is the coordinator's configuration.
        """
        rows = self._session.run("show session like 'required_workers_count'")
        wanted = str(rows[0][1]) if rows and len(rows[0]) > 1 else ""
        if not wanted.isdecimal() or int(wanted) <= 1:
            return
        try:
            rows = self._session.run("select count(*) from system.runtime.nodes where state = 'active'")
        except QueryError as error:
            check.warn(f"whether the {wanted} workers that queries wait for are active is not shown: {error}")
            return
        active = rows[0][0] if rows and rows[0] else None
        if isinstance(active, int) and active < int(wanted):
            check.degrade(
                f"the coordinator wants {wanted} workers before a query of tables begins, and no more than "
                f"{active} are active: dbt's queries wait for the others",
                ErrorType.QUERY,
            )

    def _judge_catalog(self, check: Check) -> None:
        """By `system.metadata`, which dbt reads too, for materialized views."""
        rows = self._session.run(
            f"select * from system.metadata.catalogs where catalog_name = {_literal(self._catalog)}"  # noqa: S608
        )
        if not rows:
            check.degrade(
                f"catalog {self._catalog!r} does not exist, or the user has no right on it: dbt can log in "
                "and build nothing",
                ErrorType.CONFIGURATION,
            )
            return
        connector = str(rows[0][2]) if len(rows[0]) > 2 else ""
        if connector in READ_ONLY_CONNECTORS:
            check.degrade(
                f"catalog {self._catalog!r} is of connector {connector}, which makes no tables: dbt can read "
                "there and build nothing",
                ErrorType.CONFIGURATION,
            )

    def _has_schema(self) -> bool:
        rows = self._session.run(
            f"select schema_name from {_quoted(self._catalog)}.information_schema.schemata "  # noqa: S608
            f"where schema_name = {_literal(self._schema)}"
        )
        return bool(rows)

    def _validate_creation(self) -> None:
        name = f"{_quoted(self._catalog)}.{_quoted(self._schema)}.{PROBE_NAME}"
        for kind in ("table", "view"):
            self._session.run(f"explain (type validate) create {kind} {name} as select 1 as id")

    def _try_to_create_schema(self, check: Check) -> None:
        """Have the access control asked, which `EXPLAIN` does not do about a schema.

        In a transaction in which Trino lets nothing be written.
        """
        missing = f"schema {self._config.schema_!r} is not there; "
        if not self._session.keeps_to_transactions():
            check.warn(
                f"{missing}whether dbt may create it is not shown: what stands before Trino drops headers"
            )
            return
        transaction = self._session.begin_reading()
        try:
            name = f"{_quoted(self._catalog)}.{_quoted(self._schema)}"
            self._session.run_within(transaction, f"create schema if not exists {name}")
        except QueryError as error:
            if error.name not in {"READ_ONLY_VIOLATION", "AUTOCOMMIT_WRITE_CONFLICT"}:
                raise
        finally:
            with suppress(TrinoError, ComputeError):
                self._session.run_within(transaction, "rollback")
        check.warn(f"{missing}dbt creates it")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
