"""Names, statements and what their answers mean: without the server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from floe_monitor.compute import ErrorType

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from floe_monitor.compute import Check

Rows = list[dict[str, Any]]
CONTEXT = "SELECT CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_SECONDARY_ROLES()"
MAX_GRANTEES = 50
IN_SCHEMA = ("USAGE", "CREATE TABLE", "CREATE VIEW")
IN_DATABASE = ("CREATE SCHEMA",)
"""What dbt needs in a schema, or in a database to make that schema. An owner has all of it."""


class Context(NamedTuple):
    """A session's state; `secondary` is whether any secondary role is active."""

    role: str
    warehouse: str
    secondary: bool


def read_context(rows: Rows) -> Context:
    role, warehouse, secondary = rows[0].values()
    return Context(str(role or ""), str(warehouse or ""), secondary_roles_active(secondary))


def stored(name: str) -> str:
    """A name as Snowflake stores it: upper case, unless it is quoted."""
    if len(name) > 2 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.upper()


def quoted(name: str) -> str:
    """A stored name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def like(name: str) -> str:
    """A pattern for SHOW … LIKE that only this name fits, whatever its case."""
    escaped = name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return literal(escaped)


def named(rows: Rows, name: str) -> dict[str, Any] | None:
    return next((row for row in rows if row.get("name") == name), None)


def secondary_roles_active(value: Any) -> bool:
    """Whether CURRENT_SECONDARY_ROLES() tells of any."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return True
    return bool(isinstance(found, dict) and (found.get("value") or found.get("roles")))


def judge_warehouse(warehouse: str, row: Mapping[str, Any], check: Check) -> None:
    state = str(row.get("state") or "").upper()
    if state in {"SUSPENDED", "SUSPENDING"}:
        if str(row.get("auto_resume")).lower() == "true":
            check.message = f"warehouse {warehouse!r} is suspended and starts with dbt's first query"
            check.warn(check.message)
        else:
            check.degrade(
                f"warehouse {warehouse!r} is suspended and does not resume by itself: dbt's queries fail "
                "until somebody resumes it",
                ErrorType.CONFIGURATION,
            )


def grantees(rows: Rows, privileges: Iterable[str]) -> list[str]:
    """Roles that one of these privileges was granted to, at most `MAX_GRANTEES`."""
    wanted = set(privileges)
    return sorted({_role(row) for row in rows if _privilege(row) in wanted and _to_role(row)})[:MAX_GRANTEES]


def held(rows: Rows, roles: Iterable[str]) -> set[str]:
    """Privileges that these roles have between them."""
    mine = set(roles)
    return {_privilege(row) for row in rows if _to_role(row) and _role(row) in mine}


def lacking(needed: Iterable[str], privileges: set[str]) -> list[str]:
    return [] if "OWNERSHIP" in privileges else [right for right in needed if right not in privileges]


def _privilege(row: Mapping[str, Any]) -> str:
    return str(row.get("privilege")).upper()


def _role(row: Mapping[str, Any]) -> str:
    return str(row.get("grantee_name"))


def _to_role(row: Mapping[str, Any]) -> bool:
    return str(row.get("granted_to") or "ROLE").upper() == "ROLE"
