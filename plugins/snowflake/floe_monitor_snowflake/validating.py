"""One validation: the way to the account, the login, and what dbt needs there.

No statement starts a warehouse: SHOW, USE and context functions run in Snowflake's own services, and the one
that gives the session dbt's warehouse is the last.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionResult, ConnectionStatus, ErrorType, Failure, Validation, deadline
from floe_monitor_snowflake import judging
from floe_monitor_snowflake.errors import MISSING, ROLE_NUMBERS, classify, told
from floe_monitor_snowflake.reaching import Way, dial, resolve, shake_hands
from floe_monitor_snowflake.session import Session, private_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.compute import Check
    from floe_monitor_snowflake.bounding import Bounded
    from floe_monitor_snowflake.config import SnowflakeConfig

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""


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

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            key = None
            if self._config.lacks is not None:
                with validation.check("login") as check:
                    check.fail(self._config.lacks, ErrorType.CONFIGURATION)
            if self._config.private_key_path is not None or "private_key" in self._config.credentials:
                with validation.check("key"):
                    key = private_key(self._config)
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
            line = self._bounded.line("snowflake-resolve", self._expires_at)
            try:
                addresses = resolve(way, line)
            finally:
                line.end()
            connection = dial(way, addresses, self._expires_at)
            if way.proxied:
                check.message = f"by the proxy {way.host} port {way.port}"
        with connection:
            # Through a proxy TLS comes after the driver's own words to it: that is part of the login then.
            if self._config.encrypts and not way.proxied:
                with self._validation.check("tls"):
                    shake_hands(connection, way.host, self._expires_at)

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
        database = judging.stored(self._config.database)
        with validation.check("database") as check:
            self._judge_database(session, database, check)
        with validation.check("schema", on_failure=ConnectionStatus.DEGRADED) as check:
            schema = judging.stored(self._config.schema_)
            there = self._sees_schema(session, database, schema)
        if check.status is ConnectionStatus.HEALTHY:
            with validation.check("write", on_failure=ConnectionStatus.DEGRADED) as check:
                place = f"DATABASE {judging.quoted(database)}"
                if there:
                    place = f"SCHEMA {judging.quoted(database)}.{judging.quoted(schema)}"
                needed = judging.IN_SCHEMA if there else judging.IN_DATABASE
                self._judge_rights(session, place, needed, secondary, check)
            if not there and check.status is ConnectionStatus.HEALTHY:
                validation.warn(f"schema {schema!r} is not there for role {self._role!r}; dbt will create it")
        with validation.check("warehouse") as check:
            self._judge_warehouse(session, warehouse, check)

    def _judge_role(self, role: str, check: Check) -> None:
        self._role = role
        wanted = judging.stored(self._config.role) if self._config.role is not None else role
        if role != wanted:
            check.fail(f"the session has role {role!r} instead of {wanted!r}", ErrorType.PERMISSION)
        elif self._config.role is None:
            check.message = f"the user's own role, {role!r}"

    def _judge_database(self, session: Session, database: str, check: Check) -> None:
        rows = session.run(f"SHOW DATABASES LIKE {judging.like(database)}", "the list of databases")
        if judging.named(rows, database) is None:
            check.fail(
                f"database {database!r} does not exist, or role {self._role!r} has no right on it",
                ErrorType.PERMISSION,
            )

    def _sees_schema(self, session: Session, database: str, schema: str) -> bool:
        rows = session.run(
            f"SHOW SCHEMAS LIKE {judging.like(schema)} IN DATABASE {judging.quoted(database)}",
            "the list of schemas",
        )
        return judging.named(rows, schema) is not None

    def _judge_rights(
        self, session: Session, place: str, needed: Sequence[str], secondary: object, check: Check
    ) -> None:
        try:
            rows = session.run(f"SHOW GRANTS ON {place}", "the list of grants")
        except Exception as error:
            if told(error).number not in MISSING | {3001}:
                raise
            check.warn(
                f"role {self._role!r} may not see who may create in {place}: nothing is known of its rights"
            )
            return
        roles = judging.grantees(rows, (*needed, "OWNERSHIP"))
        mine: list[str] = []
        if roles:
            # What a session creates, its primary role must be allowed to.
            several = judging.secondary_roles_active(secondary)
            if several:
                session.run("USE SECONDARY ROLES NONE", "the change of roles")
            asked = ", ".join(f"IS_ROLE_IN_SESSION({judging.literal(role)})" for role in roles)
            answers = session.run(f"SELECT {asked}", "the roles in session", by_position=True)[0].values()
            mine = [
                role for role, answer in zip(roles, answers, strict=True) if str(answer).lower() == "true"
            ]
            if several:
                session.run("USE SECONDARY ROLES ALL", "the change of roles")
        lacking = judging.lacking(needed, judging.held(rows, mine))
        if lacking:
            check.degrade(
                f"role {self._role!r} lacks {', '.join(lacking)} on {place}: dbt cannot build",
                ErrorType.PERMISSION,
            )

    def _judge_warehouse(self, session: Session, current: object, check: Check) -> None:
        name = self._config.warehouse
        if name is None:
            if not current:
                check.fail(
                    "neither `warehouse` nor the user has one: dbt's queries fail", ErrorType.CONFIGURATION
                )
            name = judging.quoted(str(current)) if current else None
        if name is None:
            return
        warehouse = judging.stored(name)
        rows = session.run(f"SHOW WAREHOUSES LIKE {judging.like(warehouse)}", "the list of warehouses")
        row = judging.named(rows, warehouse)
        if row is None:
            check.fail(
                f"warehouse {warehouse!r} does not exist, or role {self._role!r} has no right on it",
                ErrorType.PERMISSION,
            )
            return
        judging.judge_warehouse(warehouse, row, check)
        if check.status is ConnectionStatus.HEALTHY:
            self._take(session, warehouse, check)

    def _take(self, session: Session, warehouse: str, check: Check) -> None:
        """Sets the session's warehouse, for which USAGE is needed; a suspended one goes on sleeping."""
        try:
            session.run(f"USE WAREHOUSE {judging.quoted(warehouse)}", "the warehouse")
        except Exception as error:
            if told(error).number not in MISSING:
                raise
            check.fail(
                f"role {self._role!r} sees warehouse {warehouse!r} and may not use it: {told(error).message}",
                ErrorType.PERMISSION,
            )

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for secret in self._config.credentials.values():
            value = secret.get_secret_value()
            if value and value in failure.message:
                failure = failure._replace(message=failure.message.replace(value, "***"))
        return failure
