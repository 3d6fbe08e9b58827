"""What dbt needs once there: asked in one read-only transaction, evaluated without the server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionStatus, ErrorType
from floe_monitor_postgres.errors import LinkError, TimedOutError

if TYPE_CHECKING:
    from floe_monitor.compute import Check, Validation
    from floe_monitor_postgres.config import PostgresConfig
    from floe_monitor_postgres.session import Row, Session

LOCK_SHARE = 0.8
"""Share of the time left after which the server ends catalog queries, so that its error arrives."""

CONTEXT_QUERY = """
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('default_transaction_read_only'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),
       pg_catalog.current_database(), current_user, target.nspname,
       pg_catalog.has_schema_privilege(target.oid, 'USAGE'),
       pg_catalog.has_schema_privilege(target.oid, 'CREATE'),
       (SELECT min(other.nspname) FROM pg_catalog.pg_namespace other
         WHERE lower(other.nspname) = lower({schema}) AND other.nspname <> {schema})
  FROM (SELECT 1) one LEFT JOIN pg_catalog.pg_namespace target ON target.nspname = {schema}
"""


def examine(config: PostgresConfig, validation: Validation, session: Session) -> None:
    """All in one read-only transaction: nothing outlives it, behind a pooler neither."""
    left = int(session.deadline.remaining() * 1000) + 1
    # A server that goes on waiting (for a lock on its catalog) ends the statement itself, and where the
    # network breaks between statements, it ends the session.
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    begin = "; ".join(("BEGIN READ ONLY", *(f"SET LOCAL {limit} = {left}" for limit in limits)))
    if config.role is not None:
        with validation.check("role"):
            session.run(f"{begin}; SET LOCAL ROLE {config.role}")
        begin = ""
    with validation.check("query"):
        session.run(f"{begin}; SELECT 1 AS id")
    # A server that answers that it waits (for a lock on its catalog) is limited; a silent one has failed.
    with validation.check(
        "schema", on_failure=ConnectionStatus.DEGRADED, fatal=(LinkError, TimedOutError)
    ) as check:
        left = int(session.deadline.remaining() * 1000 * LOCK_SHARE) + 1
        query = CONTEXT_QUERY.format(schema=session.literal(config.schema_))
        context = read_context(session.run(f"SET LOCAL statement_timeout = {left}; {query}"))
        judge_schema(config.schema_, context, check)
    if check.status is ConnectionStatus.HEALTHY:
        with validation.check("write") as check:
            judge_writing(context, check)


@dataclass(frozen=True, slots=True)
class Context:
    """What the server says about the place dbt would work in."""

    in_recovery: bool
    read_only: bool
    may_create_schemas: bool
    may_use_temporary: bool
    database: str
    user: str
    schema_exists: bool
    may_use_schema: bool
    may_create_in_schema: bool
    same_but_for_case: str | None


def read_context(row: Row | None) -> Context:
    if row is None:
        raise LookupError("the server answered without a row")
    recovery, read_only, create, temporary, database, user, schema, usage, build, other = row
    return Context(
        in_recovery=recovery == "t",
        read_only=read_only == "on",
        may_create_schemas=create == "t",
        may_use_temporary=temporary == "t",
        database=database or "",
        user=user or "",
        schema_exists=schema is not None,
        may_use_schema=usage == "t",
        may_create_in_schema=build == "t",
        same_but_for_case=other,
    )


def judge_schema(schema: str, context: Context, check: Check) -> None:
    if context.schema_exists:
        rights = {"USAGE": context.may_use_schema, "CREATE": context.may_create_in_schema}
        lacking = [right for right, held in rights.items() if not held]
        if lacking:
            check.degrade(
                f"{context.user!r} lacks {' and '.join(lacking)} on schema {schema!r}: dbt cannot build",
                ErrorType.PERMISSION,
            )
    elif context.same_but_for_case is not None:
        check.degrade(
            f"schema {schema!r} does not exist but {context.same_but_for_case!r} does, and dbt takes "
            "the one for the other",
            ErrorType.CONFIGURATION,
        )
    elif context.may_create_schemas:
        check.warn(f"schema {schema!r} does not exist yet; dbt will create it")
    else:
        check.degrade(
            f"schema {schema!r} does not exist and {context.user!r} may not create schemas in database "
            f"{context.database!r}",
            ErrorType.PERMISSION,
        )
    if not context.may_use_temporary:
        check.warn(
            f"{context.user!r} may not create temporary tables in database {context.database!r}: dbt's "
            "incremental models and snapshots need them"
        )


def judge_writing(context: Context, check: Check) -> None:
    if context.in_recovery:
        check.degrade("the server is a standby: dbt can read but not build", ErrorType.PERMISSION)
    elif context.read_only:
        check.degrade("default_transaction_read_only is on: dbt can read but not build", ErrorType.PERMISSION)
