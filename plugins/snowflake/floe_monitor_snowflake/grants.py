"""What SHOW GRANTS answers, and what dbt needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MAX_GRANTEES = 50
IN_SCHEMA = ("USAGE", "CREATE TABLE", "CREATE VIEW")
IN_DATABASE = ("CREATE SCHEMA",)
"""What dbt needs in a schema, or in a database to make that schema. An owner has all of it."""


def grantees(rows: Sequence[Mapping[str, Any]], privileges: Iterable[str]) -> list[str]:
    """Roles that one of these privileges was granted to, at most `MAX_GRANTEES`."""
    wanted = set(privileges)
    return sorted({_role(row) for row in rows if _privilege(row) in wanted and _to_role(row)})[:MAX_GRANTEES]


def held(rows: Sequence[Mapping[str, Any]], roles: Iterable[str]) -> set[str]:
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
