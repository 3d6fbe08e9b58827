"""What dbt needs in a session: the checks that follow a login.

No statement starts a warehouse: SHOW, USE and context functions run in Snowflake's own services, and the one
that gives the session dbt's warehouse is the last.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from floe_monitor.compute import ComputeError, ConnectionStatus, EngineState, ErrorType, note_engine_state
from floe_monitor_snowflake.errors import classify
from floe_monitor_snowflake.grants import IN_DATABASE, IN_SCHEMA, grantees, held, lacking
from floe_monitor_snowflake.identifiers import like, literal, quoted, stored, why_unusable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from floe_monitor.compute import Check, Validation
    from floe_monitor_snowflake.config import SnowflakeConfig
    from floe_monitor_snowflake.session import Context, Rows, Session

_T = TypeVar("_T")
_RESTING = frozenset({"SUSPENDED", "SUSPENDING"})
_STATES = {
    **dict.fromkeys(_RESTING, EngineState.SUSPENDED),
    "RESUMING": EngineState.STARTING,
    "STARTED": EngineState.RUNNING,
    "RESIZING": EngineState.RUNNING,
}
_SESSION_LOST = frozenset({ErrorType.TIMEOUT, ErrorType.CONNECTION, ErrorType.AUTHENTICATION})


def examine(config: SnowflakeConfig, validation: Validation, session: Session) -> None:
    _Examination(config, session).run(validation)


def judge_rest(warehouse: str, row: Mapping[str, Any], check: Check) -> None:
    """Of one that is suspended: it is nobody's outage that it rests, unless it stays so."""
    if str(row.get("auto_resume")).lower() == "true":
        check.message = (
            f"warehouse {warehouse!r} is suspended and starts with dbt's first query, which waits for it: "
            "seconds as a rule"
        )
    else:
        check.fail(
            f"warehouse {warehouse!r} is suspended and does not resume by itself: dbt's queries fail until "
            "it is resumed",
            ErrorType.CONFIGURATION,
        )


class _Examination:
    def __init__(self, config: SnowflakeConfig, session: Session) -> None:
        self._config = config
        self._session = session
        self._role = ""
        self._database = stored(config.database)
        self._schema = stored(config.schema_)

    def run(self, validation: Validation) -> None:
        with validation.check("query"):
            context = self._session.read_context()
        with validation.check("role") as check:
            self._judge_role(context.role, check)
        with validation.check("database") as check:
            self._judge_database(check)
        if check.status is ConnectionStatus.HEALTHY:
            with validation.check("schema") as check:
                there = self._sees_schema(check)
        if check.status is ConnectionStatus.HEALTHY:
            with validation.check("write") as check:
                self._judge_rights(context, check, there=there)
        with validation.check("warehouse") as check:
            name, row = self._judge_warehouse(context.warehouse, check)
        if row is not None and _state(row) in _RESTING:
            with validation.check("asleep") as check:
                judge_rest(name, row, check)

    def _show(self, sql: str, waiting_for: str, check: Check) -> Rows | None:
        return self._ask(lambda: self._session.run(sql, waiting_for), waiting_for, check)

    def _ask(self, question: Callable[[], _T], waiting_for: str, check: Check) -> _T | None:
        """The answer; where the account refuses this one, that is a limitation: `dbt debug` passes then."""
        try:
            return question()
        except Exception as error:
            failure = classify(error)
            if isinstance(error, ComputeError) or failure.error_type in _SESSION_LOST:
                raise
            check.degrade(f"{waiting_for}: {failure.message}", failure.error_type)
            return None

    def _judge_role(self, role: str, check: Check) -> None:
        self._role = role
        wanted = stored(self._config.role) if self._config.role is not None else role
        if role != wanted:
            check.fail(f"the session has role {role!r} instead of {wanted!r}", ErrorType.PERMISSION)
        elif self._config.role is None:
            check.message = f"the user's own role, {role!r}"

    def _judge_database(self, check: Check) -> None:
        name = self._database
        rows = self._show(f"SHOW DATABASES LIKE {like(name)}", "the list of databases", check)
        if rows is not None and _named(rows, name) is None:
            check.degrade(
                f"database {name!r} does not exist, or role {self._role!r} has no right on it: dbt can log "
                "in and build nothing",
                ErrorType.PERMISSION,
            )

    def _sees_schema(self, check: Check) -> bool:
        unusable = why_unusable(self._config.schema_)
        if unusable is not None:
            check.degrade(
                f"dbt cannot build in schema {self._config.schema_!r}: {unusable}", ErrorType.CONFIGURATION
            )
            return False
        within = quoted(self._database)
        sql = f"SHOW SCHEMAS LIKE {like(self._schema)} IN DATABASE {within}"
        rows = self._show(sql, "the list of schemas", check)
        return rows is not None and _named(rows, self._schema) is not None

    def _judge_rights(self, context: Context, check: Check, *, there: bool) -> None:
        place = f"DATABASE {quoted(self._database)}"
        if there:
            place = f"SCHEMA {quoted(self._database)}.{quoted(self._schema)}"
        needed = IN_SCHEMA if there else IN_DATABASE
        try:
            rows = self._session.run(f"SHOW GRANTS ON {place}", "the list of grants")
            mine = self._in_session(grantees(rows, (*needed, "OWNERSHIP")), several=context.secondary)
        except Exception as error:
            failure = classify(error)
            if isinstance(error, ComputeError) or failure.error_type in _SESSION_LOST:
                raise
            check.warn(f"what role {self._role!r} may do on {place} is not to be seen: {failure.message}")
            return
        missing = lacking(needed, held(rows, mine))
        if missing:
            check.degrade(
                f"role {self._role!r} lacks {', '.join(missing)} on {place}: dbt cannot build",
                ErrorType.PERMISSION,
            )
        elif not there:
            check.warn(f"schema {self._schema!r} is not there for role {self._role!r}; dbt will create it")

    def _in_session(self, roles: Sequence[str], *, several: bool) -> list[str]:
        """Those whose rights the primary role has: a session creates with that role's alone."""
        if not roles:
            return []
        asked = ", ".join(f"IS_ROLE_IN_SESSION({literal(role)})" for role in roles)
        with self._session.primary_role_alone() if several else nullcontext():
            rows = self._session.run(f"SELECT {asked}", "the roles in session", by_position=True)
        in_session = [str(answer).lower() == "true" for answer in rows[0].values()]
        return [role for role, mine in zip(roles, in_session, strict=True) if mine]

    def _judge_warehouse(self, current: str, check: Check) -> tuple[str, dict[str, Any] | None]:
        """Its name, and what the account says of one that may be used."""
        if self._config.warehouse is not None:
            warehouse = stored(self._config.warehouse)
        elif current:
            warehouse = current
        else:
            check.degrade(
                "neither `warehouse` is given nor has the user one: dbt can log in and run nothing",
                ErrorType.CONFIGURATION,
            )
            return "", None
        sql = f"SHOW WAREHOUSES LIKE {like(warehouse)}"
        rows = self._show(sql, "the list of warehouses", check)
        row = _named(rows or [], warehouse)
        if row is not None and (seen := _STATES.get(_state(row))) is not None:
            note_engine_state(seen)
        if row is not None and _state(row) == "RESUMING":
            check.degrade(f"warehouse {warehouse!r} is starting: dbt's first query waits for it")
        elif row is None and rows is not None:
            check.degrade(
                f"warehouse {warehouse!r} does not exist, or role {self._role!r} has no right on it: dbt can "
                "log in and run nothing",
                ErrorType.PERMISSION,
            )
        if check.status is ConnectionStatus.HEALTHY:
            # Sets the session's warehouse, for which USAGE is needed; a suspended one stays suspended.
            self._ask(lambda: self._session.use_warehouse(warehouse), f"warehouse {warehouse!r}", check)
        return warehouse, row


def _state(row: Mapping[str, Any]) -> str:
    return str(row.get("state") or "").upper()


def _named(rows: Rows, name: str) -> dict[str, Any] | None:
    return next((row for row in rows if row.get("name") == name), None)
