"""What the server's catalog says about the place where dbt works: one query, one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor_postgres.libpq import Row

CONTEXT_QUERY = """
SELECT pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('default_transaction_read_only'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMP'),
       pg_catalog.current_database(), current_user, target.nspname,
       pg_catalog.has_schema_privilege(target.oid, 'USAGE'),
       pg_catalog.has_schema_privilege(target.oid, 'CREATE'),
       (SELECT min(other.nspname) FROM pg_catalog.pg_namespace other
         WHERE lower(other.nspname) = lower({schema}) AND other.nspname <> {schema}),
       EXISTS (SELECT FROM pg_catalog.pg_db_role_setting given, pg_catalog.unnest(given.setconfig) setting
                WHERE given.setrole IN (0, self.oid) AND given.setdatabase IN (0, here.oid)
                  AND setting LIKE 'role=%'),
       pg_catalog.pg_backend_pid(), self.rolsuper, self.rolconnlimit, here.datconnlimit,
       pg_catalog.current_setting('max_connections')::int
         - pg_catalog.current_setting('superuser_reserved_connections')::int
         - coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int,
       foreign_owned.relations, foreign_owned.example,
       CASE WHEN pg_catalog.isfinite(self.rolvaliduntil)
            THEN pg_catalog.date_part('epoch', self.rolvaliduntil) END
  FROM pg_catalog.pg_database here
  LEFT JOIN pg_catalog.pg_roles self ON self.rolname = session_user
  LEFT JOIN pg_catalog.pg_namespace target ON target.nspname = {schema}
 CROSS JOIN LATERAL (
       SELECT count(*) relations,
              min(pg_catalog.format('%I of %I', relname, pg_catalog.pg_get_userbyid(relowner))) example
         FROM pg_catalog.pg_class
        WHERE CASE WHEN relnamespace = target.oid AND relkind IN ('r', 'p', 'v', 'm', 'f')
              THEN NOT pg_catalog.pg_has_role(relowner, 'USAGE') END) foreign_owned
 WHERE here.datname = pg_catalog.current_database()
"""


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
    sets_a_role: bool
    """ALTER ROLE or ALTER DATABASE gives each of the user's sessions a role."""
    process_id: int
    """The server's process behind the session; a pooler tells its client another."""
    connection_limits: dict[str, int]
    """By what has them: that many connections at most, of those that ordinary users may have."""
    relations_of_others: int
    """Those in the schema that this user can neither replace nor drop."""
    example_of_others: str | None
    password_ends: float | None
    """In Unix time, of the user who logged in; None for never."""


def read_context(rows: Sequence[Row]) -> Context:
    if not rows:
        raise LookupError("the server answered without a row")
    recovery, read_only, create, temporary, database, user, schema, usage, build, other, role, *rest = rows[0]
    process_id, superuser, of_user, of_database, of_server, others, example, ends = rest
    limits = {f"user {user!r}": of_user, f"database {database!r}": of_database, "the server": of_server}
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
        sets_a_role=role == "t",
        process_id=int(process_id or 0),
        # Those of users and databases are -1 where there is none.
        connection_limits={
            name: int(limit)
            for name, limit in limits.items()
            if limit is not None and not limit.startswith("-") and superuser != "t"
        },
        relations_of_others=int(others or 0),
        example_of_others=example,
        password_ends=None if ends is None else float(ends),
    )
