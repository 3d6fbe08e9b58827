"""What dbt needs once there: a cluster that runs, a session, an answer, and a schema it can build in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    EngineState,
    note_engine_state,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS
from floe_monitor_spark.cluster import ClusterSession
from floe_monitor_spark.errors import ServerError, UnexpectedAnswerError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from floe_monitor.compute import Check, Validation
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.session import Session

PROBE_NAME = "floe_monitor_probe"


def examine(config: SparkConfig, user: str, validation: Validation, session: Session) -> None:
    """Goes no farther than to the state of a cluster that a session would start."""
    if isinstance(session, ClusterSession) and not _cluster_is_usable(session, validation):
        return
    with validation.check("session") as check:
        if session.proved:
            check.message = HOLDS
        else:
            session.open(user, config.session_parameters)
    with validation.check("query"):
        if session.run("select 1 as id") != [[1]]:
            raise UnexpectedAnswerError("`select 1` brought something else than 1")
    if isinstance(session, ClusterSession):
        note_engine_state(EngineState.RUNNING)
    with _limitation(validation, "schema") as check:
        exists = _look_for_schema(session, config.schema_, check)
    if check.status is ConnectionStatus.HEALTHY:
        with _limitation(validation, "create"):
            _plan_creation(session, config.schema_, exists=exists)


def _cluster_is_usable(session: ClusterSession, validation: Validation) -> bool:
    """Whether a session may be opened there, or used."""
    with validation.check("cluster") as check:
        # A kept session has just been proved, which asks for the state first.
        state = session.state if session.proved and session.state is not None else session.ask_state()
        state.report(check)
    if state.asleep:
        with validation.check("asleep") as check:
            check.message = state.asleep
        validation.conclude(state.asleep)
    return state.usable


def _limitation(validation: Validation, name: str) -> AbstractContextManager[Check]:
    """A check of what `dbt debug` does without. A server that says that it is not ready is limited; a silent
    one has gone."""
    return validation.check(
        name, on_failure=ConnectionStatus.DEGRADED, fatal=(ComputeConnectionError, ComputeTimeoutError)
    )


def _look_for_schema(session: Session, schema: str, check: Check) -> bool:
    """Whether it exists; dbt writes its name into statements as it stands, and so do we."""
    try:
        session.run(f"DESCRIBE SCHEMA {schema}")
    except ServerError as error:
        if error.condition != "SCHEMA_NOT_FOUND" and "NoSuchDatabaseException" not in error.java_classes:
            raise
        check.warn(f"schema {schema!r} does not exist yet; dbt will create it")
        return False
    return True


def _plan_creation(session: Session, schema: str, *, exists: bool) -> None:
    """Let Spark plan what dbt will execute: authorization plugins act on plans. Nothing is created."""
    if exists:
        session.run(f"EXPLAIN CREATE OR REPLACE VIEW {schema}.{PROBE_NAME} AS SELECT 1 AS id")
    else:
        session.run(f"EXPLAIN CREATE SCHEMA IF NOT EXISTS {schema}")
