"""The tables as they are now; `migrations` leads there from any earlier version, and a test holds both equal.

`at`, `began_at` and `lasted` are milliseconds (of Unix time), `duration` microseconds, `start` seconds of
Unix time. Where many rows arrive together, for one moment, time comes first in the key: with the target first
each batch would touch a page of the file per target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import TextClause

metadata = MetaData()


def _key(name: str, kind: type[Integer | BigInteger] = Integer) -> Column[int]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _named(name: str) -> Table:
    """Names by number, which is what the rows have."""
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", Text, nullable=False, unique=True),
    )


def _rollup(name: str) -> Table:
    kinds = ("healthy", "degraded", "unhealthy", "maintenance")
    counts = (*kinds, *(f"{kind}_seconds" for kind in kinds))
    return Table(
        name,
        metadata,
        _key("target"),
        _key("start", BigInteger),
        _key("monitor"),
        *(Column(each, Integer, nullable=False) for each in counts),
        Column("latency", LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )


targets = _named("targets")
monitors = _named("monitors")
results = Table(
    "results",
    metadata,
    _key("at", BigInteger),
    _key("target"),
    _key("monitor"),
    Column("status", SmallInteger, nullable=False),
    Column("duration", BigInteger, nullable=False),
    Column("error_type", Text),
    Column("maintenance", SmallInteger, nullable=False),
    sqlite_with_rowid=False,
)
transitions = Table(
    "transitions",
    metadata,
    _key("target"),
    _key("at", BigInteger),
    _key("monitor"),
    Column("status_before", SmallInteger, nullable=False),
    Column("status_after", SmallInteger, nullable=False),
    Column("lasted", BigInteger, nullable=False),
    Column("error_type", Text),
    Column("message", Text, nullable=False),
    sqlite_with_rowid=False,
)
incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("monitor", Integer, nullable=False),
    Column("began_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("body", Text, nullable=False),
    Index("incidents_by_time", "began_at"),
)
hourly = _rollup("hourly")
daily = _rollup("daily")
states = Table(
    "states",
    metadata,
    _key("target"),
    _key("monitor"),
    Column("last_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
)
declarations = Table(
    "declarations",
    metadata,
    Column("monitor", Integer, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
)
rollups = Table(
    "rollups",
    metadata,
    _key("monitor"),
    Column("hourly_until", BigInteger, nullable=False),
    Column("daily_until", BigInteger, nullable=False),
)


def insert_new(table: Table) -> TextClause:
    """Rows whose key is there already are left as they are: the clock may have been set back."""
    return _insert(table, _keys(table), "NOTHING", [column.name for column in table.columns])


def upsert(table: Table) -> TextClause:
    """Rows whose key is there already are replaced."""
    rest = [column.name for column in table.columns if not column.primary_key]
    action = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in rest)
    return _insert(table, _keys(table), action, [column.name for column in table.columns])


def insert_name(table: Table) -> TextClause:
    """A name, under the next number."""
    return _insert(table, "name", "NOTHING", ["name"])


def _keys(table: Table) -> str:
    return ", ".join(column.name for column in table.primary_key.columns)


def _insert(table: Table, key: str, action: str, names: list[str]) -> TextClause:
    """Core has ON CONFLICT for each database apart; both understand this."""
    values = ", ".join(f":{name}" for name in names)
    return text(
        f"INSERT INTO {table.name} ({', '.join(names)}) VALUES ({values}) ON CONFLICT ({key}) DO {action}"  # noqa: S608 - names of our own tables
    )


Row = dict[str, Any]
