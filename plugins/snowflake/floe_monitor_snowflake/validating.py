"""One validation: the way to the account, the login, and what dbt needs there.

No statement starts a warehouse: SHOW, USE and context functions run in Snowflake's own services, and the one
that gives the session dbt's warehouse is the last.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from floe_monitor.compute import (
    ComputeError,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor_snowflake import judging
from floe_monitor_snowflake.errors import ROLE_NUMBERS, classify, told
from floe_monitor_snowflake.reaching import Way, dial, resolve, shake_hands
from floe_monitor_snowflake.session import Rows, Session, private_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from floe_monitor.compute import Check
    from floe_monitor_snowflake.bounding import Bounded, Line
    from floe_monitor_snowflake.config import SnowflakeConfig

_T = TypeVar("_T")
MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""


_SESSION_LOST = frozenset({ErrorType.TIMEOUT, ErrorType.CONNECTION, ErrorType.AUTHENTICATION})


def validate(config: SnowflakeConfig, bounded: Bounded) -> ConnectionResult:
    return _Run(config, bounded).result()


class _Run:
    def __init__(self, config: SnowflakeConfig, bounded: Bounded) -> None:
        self._config = config
        self._bounded = bounded
        allowed = deadline.remaining()
        self._expires_at = time.monotonic() + allowed - min(MARGIN, allowed * MARGIN)
        self._validation = Validation(self._classify)
        self._role = ""
        self._database = judging.stored(config.database)
        self._schema = judging.stored(config.schema_)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            key = None
            if self._config.lacks is not None:
                with validation.check("login") as check:
                    check.fail(self._config.lacks, ErrorType.CONFIGURATION)
            if self._config.private_key_path is not None or "private_key" in self._config.credentials:
                with validation.check("key"):
                    key = self._aside(
                        lambda line: line.call(
                            lambda: private_key(self._config), "the file with the private key"
                        )
                    )
            self._reach()
            session = self._login(key)
            try:
                self._examine(session)
            finally:
                session.close()
            message = f"dbt can work in schema {self._config.schema_!r} of database {self._config.database!r}"
        return validation.result(message)

    # ------------------------------------------------------------ getting there

    def _reach(self) -> None:
        with self._validation.check("network") as check:
            way = Way(self._config)
            addresses = self._aside(lambda line: resolve(way, line))
            connection = dial(way, addresses, self._expires_at)
            if way.proxied:
                check.message = f"by the proxy {way.host} port {way.port}"
        with connection:
            # Through a proxy TLS comes after the driver's own words to it: that is part of the login then.
            if self._config.encrypts and not way.proxied:
                with self._validation.check("tls"):
                    shake_hands(connection, way.host, self._expires_at)

    def _aside(self, work: Callable[[Line], _T]) -> _T:
        line = self._bounded.line("snowflake-aside", self._expires_at)
        try:
            return work(line)
        finally:
            line.end()

    def _login(self, key: bytes | None) -> Session:
        session: Session | Exception
        with self._validation.check("login"):
            line = self._bounded.line("snowflake-session", self._expires_at)
            try:
                session = Session.open(self._config, key, line)
            except Exception as error:
                # Snowflake looks at the role once the credentials have passed.
                if told(error).number not in ROLE_NUMBERS:
                    raise
                session = error
        if isinstance(session, Exception):
            with self._validation.check("role"):
                raise session
        return session

    # ------------------------------------------------------------ once there

    def _examine(self, session: Session) -> None:
        validation = self._validation
        with validation.check("query"):
            role, warehouse, secondary = session.run(judging.CONTEXT, "the query", by_position=True)[
                0
            ].values()
        with validation.check("role") as check:
            self._judge_role(str(role or ""), check)
        with validation.check("database") as check:
            self._judge_database(session, check)
        if check.status is ConnectionStatus.HEALTHY:
            with validation.check("schema") as check:
                there = self._sees_schema(session, check)
        if check.status is ConnectionStatus.HEALTHY:
            with validation.check("write") as check:
                self._judge_rights(session, secondary, check, there=there)
        with validation.check("warehouse") as check:
            self._judge_warehouse(session, warehouse, check)

    def _ask(self, session: Session, sql: str, waiting_for: str, check: Check) -> Rows | None:
        """The answer; where the account refuses this one, that is a limitation: `dbt debug` passes then."""
        try:
            return session.run(sql, waiting_for)
        except Exception as error:
            failure = classify(error)
            if isinstance(error, ComputeError) or failure.error_type in _SESSION_LOST:
                raise
            check.degrade(f"{waiting_for}: {failure.message}", failure.error_type)
            return None

    def _judge_role(self, role: str, check: Check) -> None:
        self._role = role
        wanted = judging.stored(self._config.role) if self._config.role is not None else role
        if role != wanted:
            check.fail(f"the session has role {role!r} instead of {wanted!r}", ErrorType.PERMISSION)
        elif self._config.role is None:
            check.message = f"the user's own role, {role!r}"

    def _judge_database(self, session: Session, check: Check) -> None:
        name = self._database
        rows = self._ask(session, f"SHOW DATABASES LIKE {judging.like(name)}", "the list of databases", check)
        if rows is not None and judging.named(rows, name) is None:
            check.degrade(
                f"database {name!r} does not exist, or role {self._role!r} has no right on it: dbt can log "
                "in and build nothing",
                ErrorType.PERMISSION,
            )

    def _sees_schema(self, session: Session, check: Check) -> bool:
        within = judging.quoted(self._database)
        sql = f"SHOW SCHEMAS LIKE {judging.like(self._schema)} IN DATABASE {within}"
        rows = self._ask(session, sql, "the list of schemas", check)
        return rows is not None and judging.named(rows, self._schema) is not None

    def _judge_rights(self, session: Session, secondary: object, check: Check, *, there: bool) -> None:
        place = f"DATABASE {judging.quoted(self._database)}"
        if there:
            place = f"SCHEMA {judging.quoted(self._database)}.{judging.quoted(self._schema)}"
        needed = judging.IN_SCHEMA if there else judging.IN_DATABASE
        try:
            rows = session.run(f"SHOW GRANTS ON {place}", "the list of grants")
            mine = self._in_session(session, judging.grantees(rows, (*needed, "OWNERSHIP")), secondary)
        except Exception as error:
            failure = classify(error)
            if isinstance(error, ComputeError) or failure.error_type in _SESSION_LOST:
                raise
            check.warn(f"what role {self._role!r} may do on {place} is not to be seen: {failure.message}")
            return
        lacking = judging.lacking(needed, judging.held(rows, mine))
        if lacking:
            check.degrade(
                f"role {self._role!r} lacks {', '.join(lacking)} on {place}: dbt cannot build",
                ErrorType.PERMISSION,
            )
        elif not there:
            check.warn(f"schema {self._schema!r} is not there for role {self._role!r}; dbt will create it")

    def _in_session(self, session: Session, roles: Sequence[str], secondary: object) -> list[str]:
        """Those whose rights the primary role has: a session creates with that role's alone."""
        if not roles:
            return []
        several = judging.secondary_roles_active(secondary)
        if several:
            session.run("USE SECONDARY ROLES NONE", "the change of roles")
        asked = ", ".join(f"IS_ROLE_IN_SESSION({judging.literal(role)})" for role in roles)
        answers = session.run(f"SELECT {asked}", "the roles in session", by_position=True)[0].values()
        if several:
            session.run("USE SECONDARY ROLES ALL", "the change of roles")
        held = [str(answer).lower() == "true" for answer in answers]
        return [role for role, mine in zip(roles, held, strict=True) if mine]

    def _judge_warehouse(self, session: Session, current: object, check: Check) -> None:
        if self._config.warehouse is not None:
            warehouse = judging.stored(self._config.warehouse)
        elif current:
            warehouse = str(current)
        else:
            check.degrade(
                "neither `warehouse` is given nor has the user one: dbt can log in and run nothing",
                ErrorType.CONFIGURATION,
            )
            return
        sql = f"SHOW WAREHOUSES LIKE {judging.like(warehouse)}"
        rows = self._ask(session, sql, "the list of warehouses", check)
        row = judging.named(rows or [], warehouse)
        if row is not None:
            judging.judge_warehouse(warehouse, row, check)
        elif rows is not None:
            check.degrade(
                f"warehouse {warehouse!r} does not exist, or role {self._role!r} has no right on it: dbt can "
                "log in and run nothing",
                ErrorType.PERMISSION,
            )
        if check.status is ConnectionStatus.HEALTHY:
            # Sets the session's warehouse, for which USAGE is needed; a suspended one goes on sleeping.
            self._ask(
                session, f"USE WAREHOUSE {judging.quoted(warehouse)}", f"warehouse {warehouse!r}", check
            )

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for secret in self._config.credentials.values():
            value = secret.get_secret_value()
            if value and value in failure.message:
                failure = failure._replace(message=failure.message.replace(value, "***"))
        return failure
