"""Rights, by CHECK GRANT: it takes roles, wildcards and partial revokes into account, as the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor_clickhouse.errors import SYNTAX_ERROR, ServerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor_clickhouse.connect import Session

BUILDING = ("CREATE TABLE", "CREATE VIEW", "DROP TABLE", "DROP VIEW", "INSERT", "SELECT")
"""What dbt's tables and views take: a table is replaced by a new one that is renamed or exchanged."""


def may(session: Session, right: str, where: str) -> bool | None:
    """None where the server does not tell, which is older than the statement."""
    try:
        rows = session.run(f"CHECK GRANT {right} ON {where}")
    except ServerError as error:
        if error.code != SYNTAX_ERROR:
            raise
        return None
    return rows == [["1"]]


def lacking(session: Session, rights: Sequence[str], where: str) -> list[str] | None:
    """Those that the user has not; None where the server does not tell."""
    allowed = may(session, ", ".join(rights), where)
    if allowed is None:
        return None
    return [] if allowed else [right for right in rights if not may(session, right, where)]
