"""What a session is like when dbt gets it: asked before the probe changes anything of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType
from floe_monitor_postgres.libpq import defaults, role_in_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.compute import Check
    from floe_monitor_postgres.catalog import Context
    from floe_monitor_postgres.config import PostgresConfig
    from floe_monitor_postgres.libpq import Row
    from floe_monitor_postgres.session import Session

_TIMEOUTS = {
    "statement_timeout": 0,
    "idle_in_transaction_session_timeout": 0,
    "idle_session_timeout": 140000,
    "transaction_timeout": 170000,
}
"""What ends dbt's statements or sessions, and since which version of the server."""
TOO_SHORT_SECONDS = 1.0
"""dbt's own looks at the catalog take as long where there are many relations, and so do its pauses between
two statements of a model."""
SHORT_SECONDS = 60.0
_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class SessionState:
    logged_in_as: str
    acts_as: str
    is_to_act_as: str
    """The role that libpq's options set at the session's start, or who logged in."""
    process_id: int
    """What libpq was told of the server's process."""
    database: str
    """The one that was asked for."""
    timeouts: dict[str, str]
    """As the server writes them, such as 5ms."""


def questions(server_version: int) -> list[str]:
    """None needs a catalog, which may be locked."""
    return [
        "SELECT session_user, current_user",
        *(f"SHOW {name}" for name, since in _TIMEOUTS.items() if server_version >= since),
    ]


def read_state(rows: Sequence[Row], session: Session) -> SessionState:
    (logged_in_as, acts_as), *shown = rows
    options = session.parameters.get("options") or defaults().get("options", "")
    return SessionState(
        logged_in_as=logged_in_as or "",
        acts_as=acts_as or "",
        is_to_act_as=role_in_options(options) or logged_in_as or "",
        process_id=session.process_id,
        database=session.parameters["dbname"],
        timeouts={name: value or "0" for name, (value,) in zip(_TIMEOUTS, shown, strict=False)},
    )


def judge_session(config: PostgresConfig, state: SessionState, context: Context, check: Check) -> None:
    # A configured role is set anew in each session, by dbt too.
    if config.role is None and state.acts_as != state.is_to_act_as and not context.sets_a_role:
        check.degrade(
            f"the session acts as {state.acts_as!r}, not as {state.is_to_act_as!r}: a pooler lends "
            "sessions in which another client's SET ROLE still holds, so that dbt's rights vary",
            ErrorType.PERMISSION,
        )
    if state.database != context.database:
        check.degrade(
            f"a pooler leads from database {state.database!r} to one that the server knows as "
            f"{context.database!r}: dbt writes the name it has into its SQL, which the server takes for "
            "another database; have the profile and the pooler use the server's own name",
            ErrorType.CONFIGURATION,
        )
    _judge_timeouts(state, check)
    _judge_connection_limits(config.threads, context, check, pooled=state.process_id != context.process_id)


def _judge_connection_limits(threads: int, context: Context, check: Check, *, pooled: bool) -> None:
    """dbt opens a connection for each thread; one more at its start it closes before it builds."""
    low = [f"{name} has {limit}" for name, limit in context.connection_limits.items() if limit < threads]
    if not low:
        return
    text = f"of {threads} threads some get no connection: {' and '.join(low)} at most"
    if pooled:
        check.warn(f"{text}, unless the pooler makes do with fewer")
    else:
        check.degrade(text, ErrorType.CONFIGURATION)


def _judge_timeouts(state: SessionState, check: Check) -> None:
    found = {name: (value, _seconds(value)) for name, value in state.timeouts.items()}
    short = [(name, value, seconds) for name, (value, seconds) in found.items() if seconds < SHORT_SECONDS]
    too_short = [f"{name} is {value}" for name, value, seconds in short if seconds < TOO_SHORT_SECONDS]
    if too_short:
        check.degrade(
            f"{' and '.join(too_short)} for {state.logged_in_as!r}: the server breaks dbt off; look at "
            "ALTER ROLE … SET, ALTER DATABASE … SET and the server's configuration",
            ErrorType.TIMEOUT,
        )
    elif short:
        texts = " and ".join(f"{name} is {value}" for name, value, _ in short)
        check.warn(f"{texts} for {state.logged_in_as!r}: models that take longer are broken off")


def _seconds(value: str) -> float:
    """Infinite where it is off, or written as no version of the server writes it."""
    found = re.fullmatch(r"(\d+) ?(ms|s|min|h|d)", value)
    return int(found[1]) * _UNITS[found[2]] if found else float("inf")
