"""What dbt needs once there: asked in one read-only transaction, evaluated without the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionStatus, ErrorType, ExpiryKind, note_expiry
from floe_monitor_postgres.catalog import CONTEXT_QUERY, read_context
from floe_monitor_postgres.errors import LinkError, TimedOutError
from floe_monitor_postgres.session_state import judge_session, questions, read_state
from floe_monitor_postgres.transaction import ReadOnlyTransaction

if TYPE_CHECKING:
    from floe_monitor.compute import Check, Validation
    from floe_monitor_postgres.catalog import Context
    from floe_monitor_postgres.config import PostgresConfig
    from floe_monitor_postgres.session import Session

LONGEST_NAME = 63
"""Bytes of a name, in a server built as usual."""


def examine(config: PostgresConfig, validation: Validation, session: Session) -> None:
    autocommit = bool(config.autocommit)
    with ReadOnlyTransaction(session, config.role, autocommit=autocommit) as transaction:
        if config.role is not None:
            with validation.check("role"):
                answers = transaction.begin(questions(session.server_version))
        with validation.check("query"):
            if config.role is None:
                answers = transaction.begin(questions(session.server_version))
            else:
                transaction.run("SELECT 1 AS id")
        context = None
        # A server that answers that it waits (for a lock on its catalog) is limited; a silent one has gone.
        with validation.check(
            "session", on_failure=ConnectionStatus.DEGRADED, fatal=(LinkError, TimedOutError)
        ) as check:
            query = CONTEXT_QUERY.format(schema=session.literal(config.schema_))
            context = read_context(transaction.run_last(query))
            state = read_state(answers, session)
            judge_session(config, state, context, check)
            if session.used_password:
                whose = f"the password of role {state.logged_in_as!r}"
                note_expiry(ExpiryKind.PASSWORD, context.password_ends, whose)
    if context is None:
        return
    with validation.check("schema") as check:
        judge_schema(config.schema_, context, check)
    if check.status is ConnectionStatus.HEALTHY:
        with validation.check("write") as check:
            judge_writing(context, check)


def judge_schema(schema: str, context: Context, check: Check) -> None:
    if (unusable := _why_unusable(schema)) is not None:
        check.degrade(f"dbt cannot build in schema {schema!r}: {unusable}", ErrorType.CONFIGURATION)
    elif context.schema_exists and context.same_but_for_case is not None:
        check.degrade(
            f"schemas {schema!r} and {context.same_but_for_case!r} differ in case alone, and dbt takes what "
            "is in the one for what is in the other",
            ErrorType.CONFIGURATION,
        )
    elif context.schema_exists:
        rights = {"USAGE": context.may_use_schema, "CREATE": context.may_create_in_schema}
        lacking = [right for right, held in rights.items() if not held]
        if lacking:
            check.degrade(
                f"{context.user!r} lacks {' and '.join(lacking)} on schema {schema!r}: dbt cannot build",
                ErrorType.PERMISSION,
            )
        elif context.relations_of_others:
            count = context.relations_of_others
            check.warn(
                f"{count} {'relation' if count == 1 else 'relations'} in schema {schema!r} of other owners "
                f"({context.example_of_others}): dbt can neither replace nor drop them as {context.user!r}"
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


def _why_unusable(schema: str) -> str | None:
    if schema.startswith("pg_"):
        return "the server keeps names that begin with pg_ to itself"
    if len(schema.encode()) > LONGEST_NAME:
        return (
            f"the server cuts names after {LONGEST_NAME} bytes, and dbt does not find again what it has built"
        )
    if "'" in schema or '"' in schema:
        return "dbt writes the name between quotes as it stands, so it can have none of its own"
    if "\\" in schema:
        return "dbt looks for it by a pattern, in which \\ has another meaning, and does not find it again"
    return None


def judge_writing(context: Context, check: Check) -> None:
    if context.in_recovery:
        check.degrade("the server is a standby: dbt can read but not build", ErrorType.PERMISSION)
    elif context.read_only:
        check.degrade("default_transaction_read_only is on: dbt can read but not build", ErrorType.PERMISSION)
