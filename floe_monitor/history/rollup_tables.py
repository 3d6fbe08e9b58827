"""Hours and days in the database: written when they are over, and once each.

What is not over yet is in memory; `hourly_until` says in the database how far the rows reach, so that a
process that was killed loses nothing: the next one reads the results since then again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from floe_monitor.history import tables
from floe_monitor.history.rollup import DAY, HOUR, Accumulator, Rollup, merged, start_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection


class RollupTables:
    """Of one monitor. Making it reads from the database."""

    def __init__(self, connection: Connection, monitor: int) -> None:
        self._connection = connection
        self._monitor = monitor
        self._hours = Accumulator()
        self._hourly_until = 0
        self._resume()

    def add(self, rows: Sequence[tuple[int, float, int, float, int]]) -> None:
        """Results (target, Unix seconds, status, seconds, 1 in maintenance), in the caller's transaction."""
        late: dict[tuple[int, int], Rollup] = {}
        for target, at, status, duration, maintained in rows:
            if at >= self._hourly_until:
                self._hours.add(target, at, status, duration, maintained)
                continue
            alone = Accumulator()  # its hour is over: the clock was set back
            alone.add(target, at, status, duration, maintained)
            for start, _, rollup in alone.take_before(self._hourly_until):
                late.setdefault((target, start), Rollup()).merge(rollup)
        self._merge_late(late)
        current = start_of(max(row[1] for row in rows), HOUR)
        if current > self._hourly_until:
            self._finish_hours(current)

    def _finish_hours(self, until: int) -> None:
        finished = [
            rollup.as_row(target, start, self._monitor)
            for start, target, rollup in self._hours.take_before(until)
        ]
        if finished:
            self._connection.execute(tables.upsert(tables.hourly), finished)
        values = {"hourly_until": until}
        self._connection.execute(
            update(tables.rollups).where(tables.rollups.c.monitor == self._monitor).values(values)
        )
        self._hourly_until = until

    def _merge_late(self, late: Mapping[tuple[int, int], Rollup]) -> None:
        for (target, start), rollup in late.items():
            for table, length in ((tables.hourly, HOUR), (tables.daily, DAY)):
                begun = start_of(start, length)
                row = self._connection.execute(
                    select(table).where(
                        table.c.target == target, table.c.start == begun, table.c.monitor == self._monitor
                    )
                ).first()
                if row is None and table is tables.daily:
                    continue  # that day is not over
                whole = merged([Rollup.of_row(row), rollup] if row is not None else [rollup])
                self._connection.execute(tables.upsert(table), whole.as_row(target, begun, self._monitor))

    def finish_days(self, now: float) -> None:
        """A row of each day that is over, of its hours."""
        with self._connection.begin():
            row = self._connection.execute(
                select(tables.rollups).where(tables.rollups.c.monitor == self._monitor)
            ).one()
            until = min(start_of(now, DAY), start_of(row.hourly_until, DAY))
            for day in range(row.daily_until or self._first_day(until), until, DAY):
                self._finish_day(day)
            if until > row.daily_until:
                self._connection.execute(
                    update(tables.rollups)
                    .where(tables.rollups.c.monitor == self._monitor)
                    .values(daily_until=until)
                )

    def _first_day(self, until: int) -> int:
        first = select(func.min(tables.hourly.c.start)).where(tables.hourly.c.monitor == self._monitor)
        found = self._connection.execute(first).scalar()
        return until if found is None else start_of(found, DAY)

    def _finish_day(self, day: int) -> None:
        hourly = tables.hourly
        for target in list(self._connection.execute(select(tables.targets.c.id)).scalars()):
            hours = self._connection.execute(
                select(hourly).where(
                    hourly.c.target == target,
                    hourly.c.start >= day,
                    hourly.c.start < day + DAY,
                    hourly.c.monitor == self._monitor,
                )
            ).all()
            if hours:
                whole = merged(Rollup.of_row(row) for row in hours)
                self._connection.execute(
                    tables.upsert(tables.daily), whole.as_row(target, day, self._monitor)
                )

    def _resume(self) -> None:
        """Read again what is not in a finished hour yet."""
        with self._connection.begin():
            row = self._connection.execute(
                select(tables.rollups).where(tables.rollups.c.monitor == self._monitor)
            ).first()
            if row is None:
                begun = {"monitor": self._monitor, "hourly_until": 0, "daily_until": 0}
                self._connection.execute(tables.upsert(tables.rollups), begun)
            else:
                self._hourly_until = row.hourly_until
            since = (
                select(
                    tables.results.c.target,
                    tables.results.c.at,
                    tables.results.c.status,
                    tables.results.c.duration,
                    tables.results.c.maintenance,
                )
                .where(
                    tables.results.c.at >= self._hourly_until * 1000,
                    tables.results.c.monitor == self._monitor,
                )
                .order_by(tables.results.c.at)
            )
            for target, at, status, duration, maintained in self._connection.execute(since):
                self._hours.add(target, at / 1000, status, duration / 1e6, maintained)
