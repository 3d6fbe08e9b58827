"""What a history says, for commands: everything within a span of time, of some targets or of all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError

from floe_monitor.domain.declarations import Declarations
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.span import Span
from floe_monitor.history import tables
from floe_monitor.history.database import describe, reading, resolve
from floe_monitor.history.errors import HistoryMissingError, HistoryUnavailableError
from floe_monitor.history.json_rows import declarations_from_json, incident_from_json
from floe_monitor.history.rollup import DAY, HOUR, Accumulator, Rollup, start_of
from floe_monitor.history.schema import revision_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection, Table

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.settings.history_models import HistoryUrl

FOREVER = 2**40
"""Unix seconds."""
Periods = dict[int, Rollup]
"""Hours or days of one target by their beginning (Unix seconds)."""

_STORED = {
    table.name: select(table).where(
        table.c.target == bindparam("of"),
        table.c.start >= bindparam("first"),
        table.c.start < bindparam("end"),
    )
    for table in (tables.hourly, tables.daily)
}
"""Made once: it is asked for each of a thousand targets."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    target: str
    at: float
    before: HealthStatus
    after: HealthStatus
    lasted: float
    error_type: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    target: str
    at: float
    status: HealthStatus
    duration: float
    error_type: str | None


@contextmanager
def open_history(
    url: HistoryUrl, environ: Mapping[str, str], seconds: float | None = None
) -> Iterator[HistoryReader]:
    """Raises `HistoryUnavailableError`, also for whatever the database says while it is read: that it was
    broken off after so many seconds."""
    engine = reading(resolve(url, environ), seconds)
    try:
        with engine.connect() as connection:
            if revision_of(connection) is None:
                raise HistoryMissingError("there is no history in it yet: the daemon makes it")
            yield HistoryReader(connection)
    except DBAPIError as error:
        raise HistoryUnavailableError(describe(error)) from None
    finally:
        engine.dispose()


class HistoryReader:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        named = connection.execute(select(tables.targets.c.name, tables.targets.c.id).order_by("name"))
        self.targets: dict[str, int] = {row.name: row.id for row in named}
        """Every target there ever was, by name."""
        self._names = {number: name for name, number in self.targets.items()}

    @property
    def connection(self) -> Connection:
        """For other queries of one reading."""
        return self._connection

    def changes(self, names: Sequence[str], span: Span) -> list[StatusChange]:
        """Oldest first."""
        table = tables.transitions
        rows = self._connection.execute(
            select(table)
            .where(*self._chosen(table, names), table.c.at >= span.start * 1000, table.c.at < span.end * 1000)
            .order_by(table.c.at)
        )
        return [
            StatusChange(
                self._names[row.target],
                row.at / 1000,
                HealthStatus(row.status_before),
                HealthStatus(row.status_after),
                row.lasted / 1000,
                row.error_type,
                row.message,
            )
            for row in rows
        ]

    def results(self, names: Sequence[str], span: Span) -> Iterator[Result]:
        """Oldest first."""
        table = tables.results
        rows = self._connection.execute(
            select(table)
            .where(*self._chosen(table, names), table.c.at >= span.start * 1000, table.c.at < span.end * 1000)
            .order_by(table.c.at)
        )
        for row in rows:
            yield Result(
                self._names[row.target],
                row.at / 1000,
                HealthStatus(row.status),
                row.duration / 1e6,
                row.error_type,
            )

    def incidents(self, names: Sequence[str], span: Span) -> Iterator[Incident]:
        """Those that lasted at some time of the span, newest first."""
        table = tables.incidents
        wanted = frozenset(names)
        rows = self._connection.execute(
            select(table.c.body)
            .where(
                table.c.began_at < span.end * 1000,
                (table.c.ended_at.is_(None)) | (table.c.ended_at >= span.start * 1000),
            )
            .order_by(table.c.began_at.desc())
        )
        for body in rows.scalars():
            incident = incident_from_json(body)
            if incident is not None and (not wanted or not wanted.isdisjoint(incident.members)):
                yield incident

    def incident(self, identity: str) -> Incident | None:
        table = tables.incidents
        body = self._connection.execute(select(table.c.body).where(table.c.id == identity)).scalar()
        return None if body is None else incident_from_json(body)

    def declared(self) -> Declarations:
        """What people have declared at the monitors that write here, of all of them."""
        bodies = self._connection.execute(select(tables.declarations.c.body)).scalars()
        found = (declarations_from_json(body) for body in bodies)
        return reduce(Declarations.joined, (each for each in found if each is not None), Declarations())

    def newest(self, table: Table, name: str, span: Span, most: int) -> list[Any]:
        """Rows of `results` or `transitions` as they are stored, newest first."""
        rows = self._connection.execute(
            select(table)
            .where(
                table.c.target == self.targets[name],
                table.c.at >= round(span.start * 1000),
                table.c.at < round(span.end * 1000),
            )
            .order_by(table.c.at.desc())
            .limit(most)
        )
        return list(rows)

    def hours(self, names: Sequence[str], span: Span) -> Iterator[tuple[str, Periods]]:
        """Target by target, of all monitors together: a year of a thousand would not fit in memory at once.
        The hours that are not over are among them."""
        running = self._running(names, span)
        for name in names or self.targets:
            found = running.get(name, {})
            for row in self._stored(tables.hourly, name, span):
                _merge(found, row.start, Rollup.of_row(row))
            yield name, found

    def days(self, names: Sequence[str], span: Span) -> Iterator[tuple[str, Periods]]:
        """As `hours`; the days that are not over are made of their hours."""
        running = self._running(names, span)
        ended = self._ended()
        first = min((until for _, until in ended.values()), default=0)
        for name in names or self.targets:
            found: Periods = {}
            for row in self._stored(tables.daily, name, span):
                _merge(found, row.start, Rollup.of_row(row))
            for row in self._stored(tables.hourly, name, Span(max(first, span.start), span.end)):
                if row.start >= ended[row.monitor][1]:
                    _merge(found, start_of(row.start, DAY), Rollup.of_row(row))
            for hour, rollup in running.get(name, {}).items():
                _merge(found, start_of(hour, DAY), rollup)
            yield name, found

    def _stored(self, table: Table, name: str, span: Span) -> Iterable[Any]:
        first = start_of(span.start, DAY if table is tables.daily else HOUR)
        values = {"of": self.targets[name], "first": first, "end": span.end}
        return self._connection.execute(_STORED[table.name], values)

    def _ended(self) -> dict[int, tuple[int, int]]:
        """By monitor, until when hours and days are stored."""
        rows = self._connection.execute(select(tables.rollups))
        return {row.monitor: (row.hourly_until, row.daily_until) for row in rows}

    def _running(self, names: Sequence[str], span: Span) -> dict[str, Periods]:
        """By target the hours that are not stored yet, made of results."""
        found: dict[str, Periods] = {}
        table = tables.results
        for monitor, (until, _) in self._ended().items():
            hours = Accumulator()
            rows = self._connection.execute(
                select(table.c.target, table.c.at, table.c.status, table.c.duration, table.c.maintenance)
                .where(
                    *self._chosen(table, names),
                    table.c.at >= max(until, start_of(span.start, HOUR)) * 1000,
                    table.c.at < span.end * 1000,
                    table.c.monitor == monitor,
                )
                .order_by(table.c.at)
            )
            for target, at, status, duration, maintained in rows:
                hours.add(target, at / 1000, status, duration / 1e6, maintained)
            for start, target, rollup in hours.take_before(FOREVER):
                _merge(found.setdefault(self._names[target], {}), start, rollup)
        return found

    def _chosen(self, table: Table, names: Iterable[str]) -> list[ColumnElement[bool]]:
        numbers = [self.targets[name] for name in names]
        return [table.c.target.in_(numbers)] if numbers else []


def _merge(into: Periods, start: int, rollup: Rollup) -> None:
    known = into.get(start)
    if known is None:
        into[start] = rollup
    else:
        known.merge(rollup)
