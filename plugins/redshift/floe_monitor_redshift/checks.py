"""What dbt needs once there: asked in small statements of the leader node, which read no table of anybody's.

Nothing is written. On a serverless workgroup not even these are sent unless the target asks for it: each is
billed for a minute, and idle compute would start for it.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    ErrorType,
    ExpiryKind,
    note_expiry,
)
from floe_monitor_redshift.errors import ServerError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check, Validation
    from floe_monitor_redshift.config import RedshiftConfig
    from floe_monitor_redshift.messages import Row
    from floe_monitor_redshift.session import Session

LONGEST_NAME = 127
"""Bytes of a name."""
TOO_SHORT_SECONDS = 1.0
SHORT_SECONDS = 60.0
_MARK = "Redshift"


def examine(config: RedshiftConfig, validation: Validation, session: Session) -> None:
    if not session.usable:
        return  # the login has said why
    if config.serverless and not config.wake_workgroup:
        with validation.check("asleep") as check:
            check.message = (
                "the login holds; no statement is sent: it would be billed for a minute, and start compute "
                "that rests: the first run of dbt waits some seconds for that; set wake_workgroup to have "
                "schema and rights asked for"
            )
        validation.conclude(f"dbt can log in to database {config.database_name!r}; no statement was sent")
        return
    _Examination(config, session, validation).run()


class _Examination:
    def __init__(self, config: RedshiftConfig, session: Session, validation: Validation) -> None:
        self._config, self._session, self._validation = config, session, validation
        self._schema = config.schema_.lower()
        self._is_redshift = False

    def run(self) -> None:
        if self._config.role is not None:
            with self._validation.check("role"):
                self._session.run(f"set role {self._config.role}")
        if self._config.query_group is not None:
            with self._validation.check("query_group"):
                self._session.run(f"SET query_group TO {_literal(self._config.query_group)}")
        with self._validation.check("query") as check:
            self._judge_query(check)
        with self._beyond_debug("session") as check:
            self._judge_session(check)
            if self._config.method == "database":
                self._note_end_of_password()
        if self._config.datasharing:
            with self._beyond_debug("datasharing"):
                database = _quoted(self._config.database_name)
                self._session.run(f"SHOW SCHEMAS FROM DATABASE {database} LIKE {_literal(self._schema)}")
        with self._beyond_debug("schema") as check:
            self._judge_schema(check)

    @contextmanager
    def _beyond_debug(self, name: str) -> Iterator[Check]:
        """What `dbt debug` does not look at: a refusal is DEGRADED, and only no answer is worse."""
        with self._validation.check(
            name,
            on_failure=ConnectionStatus.DEGRADED,
            fatal=(ComputeConnectionError, ComputeTimeoutError, UnexpectedAnswerError),
        ) as check:
            yield check

    def _judge_query(self, check: Check) -> None:
        if self._session.run("select 1 as id") != [("1",)]:
            raise UnexpectedAnswerError("`select 1` brought something else than 1")
        version = self._one("select version()")[0] or ""
        self._is_redshift = _MARK in version
        if self._is_redshift:
            check.message = version[version.index(_MARK) :][:100]
        else:
            check.warn("what answers calls itself no Redshift")

    def _judge_session(self, check: Check) -> None:
        shown = self._one("select current_setting('statement_timeout')")[0] or "0"
        seconds = _seconds(shown)
        if seconds < TOO_SHORT_SECONDS:
            check.degrade(
                f"statement_timeout is {shown}: the server breaks dbt off; look at ALTER USER … SET and the "
                "parameter group",
                ErrorType.TIMEOUT,
            )
        elif seconds < SHORT_SECONDS:
            check.warn(f"statement_timeout is {shown}: models that take longer are broken off")
        if self._config.connect_timeout is not None:
            check.warn(
                f"connect_timeout is dbt's timeout of every answer: models that take longer than "
                f"{self._config.connect_timeout} s fail"
            )

    def _note_end_of_password(self) -> None:
        """Where it has one, and the server tells it: dbt does without."""
        with suppress(ServerError, ValueError):
            user, ends = self._one(
                "select usename, valuntil from pg_catalog.pg_user where usename = session_user"
            )
            if ends:
                note_expiry(ExpiryKind.PASSWORD, _moment(ends), f"the password of user {user!r}")

    def _judge_schema(self, check: Check) -> None:
        if (unusable := _why_unusable(self._config.schema_)) is not None:
            check.degrade(
                f"dbt cannot build in schema {self._config.schema_!r}: {unusable}", ErrorType.CONFIGURATION
            )
            return
        database = self._one("select current_user, current_database()")
        found = self._session.run(
            f"select nspname from pg_catalog.pg_namespace where lower(nspname) = {_literal(self._schema)}"  # noqa: S608
        )
        if found:
            self._judge_rights(check, str(found[0][0]), database)
        else:
            self._judge_creation(check, database)
        if check.status is ConnectionStatus.HEALTHY:
            self._judge_temporary(check, database)

    def _judge_rights(self, check: Check, schema: str, database: Row) -> None:
        if self._is_redshift and self._session.run(
            f"select 1 from pg_catalog.svv_external_schemas where schemaname = {_literal(schema)}"  # noqa: S608
        ):
            check.degrade(
                f"schema {schema!r} is an external one: dbt can read there and build nothing",
                ErrorType.CONFIGURATION,
            )
            return
        rights = {
            right: self._may(f"has_schema_privilege({_literal(schema)}, {_literal(right)})")
            for right in ("USAGE", "CREATE")
        }
        lacking = [right for right, held in rights.items() if not held]
        if lacking:
            check.degrade(
                f"{database[0]!r} lacks {' and '.join(lacking)} on schema {schema!r}: dbt cannot build",
                ErrorType.PERMISSION,
            )

    def _judge_creation(self, check: Check, database: Row) -> None:
        schema = self._config.schema_
        if self._may("has_database_privilege(current_database(), 'CREATE')"):
            check.warn(f"schema {schema!r} does not exist yet; dbt will create it")
        else:
            check.degrade(
                f"schema {schema!r} does not exist and {database[0]!r} may not create schemas in database "
                f"{database[1]!r}",
                ErrorType.PERMISSION,
            )

    def _judge_temporary(self, check: Check, database: Row) -> None:
        if not self._may("has_database_privilege(current_database(), 'TEMP')"):
            check.warn(
                f"{database[0]!r} may not create temporary tables in database {database[1]!r}: dbt's "
                "incremental models and snapshots need them"
            )

    def _may(self, expression: str) -> bool:
        return self._one(f"select {expression}")[0] in {"t", "true", "1"}

    def _one(self, sql: str) -> Row:
        rows = self._session.run(sql)
        if not rows or not rows[0]:
            raise ServerError("", "an answer without a row came to a question that has one")
        return rows[0]


def _why_unusable(schema: str) -> str | None:
    if schema.startswith("pg_"):
        return "the server keeps names that begin with pg_ to itself"
    if len(schema.encode()) > LONGEST_NAME:
        return f"the server takes no name of more than {LONGEST_NAME} bytes"
    if not {"'", '"', "\\"}.isdisjoint(schema):
        return "dbt writes the name between quotes as it stands, so it can have none, and no backslash"
    return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _moment(text: str) -> float | None:
    """Unix time of what the server writes as its time; None for `infinity`. Raises `ValueError`."""
    if text == "infinity":
        return None
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _seconds(value: str) -> float:
    """Of a time in milliseconds, with or without its unit; infinite where it is off."""
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
    digits = value.rstrip("abcdefghijklmnopqrstuvwxyz ")
    if not digits.isdecimal() or int(digits) == 0:
        return float("inf")
    return int(digits) * units.get(value[len(digits) :].strip() or "ms", 0.001)
