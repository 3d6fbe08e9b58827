"""Frees what has been kept long enough, in steps that are short: the next batch waits for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, text

from floe_monitor.history import tables
from floe_monitor.history.rollup import DAY, HOUR

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

    from floe_monitor.settings.history_models import HistorySettings

_STATES_KEPT = 30 * DAY
"""Of targets that are not configured any more."""


def expire(connection: Connection, settings: HistorySettings, now: float) -> None:
    """All that `retention` does not keep, and of a file what is above its size. Several transactions."""
    kept = settings.retention
    while _delete_results(connection, now - kept.results_days * DAY):
        pass
    _delete_rollups(connection, tables.hourly, now - kept.hourly_days * DAY)
    _delete_rollups(connection, tables.daily, now - kept.daily_days * DAY)
    with connection.begin():
        old = tables.states.c.last_at < (now - _STATES_KEPT) * 1000
        connection.execute(delete(tables.states).where(old))
    while bytes_used(connection) > settings.max_megabytes * 1_000_000 and _delete_results(connection, now):
        pass
    give_back(connection)


def free_some(connection: Connection) -> bool:
    """The oldest quarter of the results, at least an hour of them; False where there are none."""
    at = tables.results.c.at
    with connection.begin():
        oldest, newest = connection.execute(select(func.min(at), func.max(at))).one()
    if oldest is None:
        return False
    before = oldest / 1000 + max((newest - oldest) / 4000, float(HOUR))
    while _delete_results(connection, before):
        pass
    return True


def bytes_used(connection: Connection) -> int:
    """Of a file: its pages in use. 0 for a server, whose size is its administrators' matter."""
    if connection.dialect.name != "sqlite":
        return 0
    with connection.begin():
        pages, free, size = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - free) * size


def give_back(connection: Connection) -> None:
    """Free pages to the file system, some megabytes at once."""
    if connection.dialect.name == "sqlite":
        with connection.begin():
            connection.execute(text("PRAGMA incremental_vacuum(2000)")).close()


def _delete_results(connection: Connection, before: float) -> int:
    """Those older than that, at most an hour of them; how many. 0 when all are gone."""
    at = tables.results.c.at
    with connection.begin():
        oldest = connection.execute(select(func.min(at))).scalar()
        if oldest is None or oldest >= before * 1000:
            return 0
        end = min(before * 1000, oldest + HOUR * 1000)
        return connection.execute(delete(tables.results).where(at < end)).rowcount


def _delete_rollups(connection: Connection, table: Table, before: float) -> None:
    """Target by target, as the key has them, so that no other row is read."""
    with connection.begin():
        numbers = list(connection.execute(select(tables.targets.c.id)).scalars())
    for number in numbers:
        with connection.begin():
            connection.execute(delete(table).where(table.c.target == number, table.c.start < before))
