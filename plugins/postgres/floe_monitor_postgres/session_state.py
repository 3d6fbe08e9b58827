"""What a session is like when dbt gets it: asked before the probe changes anything of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.compute import Check
    from floe_monitor_postgres.catalog import Context
    from floe_monitor_postgres.config import PostgresConfig
    from floe_monitor_postgres.session import Row

QUESTIONS = ["SELECT session_user, current_user"]
"""None needs a catalog."""


@dataclass(frozen=True, slots=True)
class SessionState:
    logged_in_as: str
    acts_as: str


def read_state(rows: Sequence[Row]) -> SessionState:
    (logged_in_as, acts_as), *_ = rows
    return SessionState(logged_in_as=logged_in_as or "", acts_as=acts_as or "")


def judge_session(config: PostgresConfig, state: SessionState, context: Context, check: Check) -> None:
    # A configured role is set anew in each session, by dbt too.
    if config.role is None and state.acts_as != state.logged_in_as and not context.sets_a_role:
        check.degrade(
            f"the session acts as {state.acts_as!r}, not as {state.logged_in_as!r} who logged in: a pooler "
            "lends sessions in which another client's SET ROLE still holds, so that dbt's rights vary",
            ErrorType.PERMISSION,
        )
