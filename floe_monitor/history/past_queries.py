"""What the pages show of the past, from the tables: without the latency of what they show by the hundred."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, func, literal_column, select

from floe_monitor.domain.span import Span
from floe_monitor.domain.uptime import LENGTHS, PastChange, Period, Strip, TargetPast
from floe_monitor.history import tables
from floe_monitor.history.rollup import DAY, HOUR, KINDS, start_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row, Select, Table

    from floe_monitor.domain.uptime import Unit
    from floe_monitor.history.reader import HistoryReader
    from floe_monitor.history.rollup import Rollup

PERIODS = 90
"""Hours or days."""
_MAINTENANCE = KINDS.index("maintenance")
Seconds = list[float]
"""In the order of `KINDS`."""


def oldest(connection: Connection) -> float | None:
    """When what is kept begins (Unix seconds): as the keys have it, of the first target."""
    found = [connection.execute(select(func.min(tables.results.c.at))).scalar()]
    begun = [] if found[0] is None else [found[0] / 1000]
    for table in (tables.hourly, tables.daily):
        first = select(table.c.start).order_by(table.c.target, table.c.start).limit(1)
        start = connection.execute(first).scalar()
        begun += [] if start is None else [start]
    return min(begun, default=None)


def running(connection: Connection, now: float) -> dict[int, list[Period]]:
    """By target the hours that are not in a row yet. The time of each is shared out by the number of results,
    which the database counts: of ten thousand targets there are a million."""
    found: dict[tuple[int, int], Seconds] = {}
    for monitor, until in connection.execute(select(tables.rollups.c.monitor, tables.rollups.c.hourly_until)):
        counted: dict[tuple[int, int], tuple[float, Seconds]] = {}
        for row in connection.execute(_counted(monitor, until)):
            began, counts = counted.get((row.target, row.hour), (now, [0.0] * len(KINDS)))
            counts[_MAINTENANCE if row.maintenance else row.status - 1] += row.results
            counted[row.target, row.hour] = min(began, row.first / 1000), counts
        for (target, hour), (began, counts) in counted.items():
            lasted = max(1.0, min(now, (hour + 1) * HOUR) - began)
            seconds = found.setdefault((target, hour * HOUR), [0.0] * len(KINDS))
            for kind, count in enumerate(counts):
                seconds[kind] += lasted * count / sum(counts)
    of_target: dict[int, list[Period]] = {}
    for (target, start), seconds in sorted(found.items()):
        of_target.setdefault(target, []).append(Period(start, *seconds))
    return of_target


def _counted(monitor: int, until: int) -> Select[tuple[int, int, int, int, int, int]]:
    """Results of one monitor from `until` (Unix seconds) on, by target, hour, status and maintenance."""
    of = tables.results.c
    hour = (of.at // literal_column(str(HOUR * 1000), BigInteger)).label("hour")
    return (
        select(
            of.target,
            hour,
            of.status,
            of.maintenance,
            func.count().label("results"),
            func.min(of.at).label("first"),
        )
        .where(of.at >= until * 1000, of.monitor == monitor)
        .group_by(of.target, hour, of.status, of.maintenance)
    )


def strips(
    reader: HistoryReader,
    names: Sequence[str],
    unit: Unit,
    now: float,
    unfinished: Mapping[int, Iterable[Period]],
) -> dict[str, Strip]:
    """Of all of them: of a target without a past an empty one."""
    known = {reader.targets[name]: name for name in names if name in reader.targets}
    length = LENGTHS[unit]
    first = start_of(now, length) - (PERIODS - 1) * length
    found: dict[str, dict[int, Seconds]] = {name: {} for name in names}
    for row in reader.connection.execute(
        _seconds(tables.daily if unit == "days" else tables.hourly, known, first)
    ):
        _add(found[known[row.target]], row.start, row[2:6])
    if unit == "days":
        for row in _today(reader, known, first):
            _add(found[known[row.target]], start_of(row.start, DAY), row[2:6])
    for target, name in known.items():
        for period in unfinished.get(target, ()):
            values = (period.healthy, period.degraded, period.unhealthy, period.maintenance)
            _add(found[name], start_of(period.start, length), values)
    return {
        name: Strip(unit, tuple(Period(start, *seconds) for start, seconds in sorted(periods.items())))
        for name, periods in found.items()
    }


def target(
    reader: HistoryReader, name: str, now: float, unfinished: Mapping[int, Iterable[Period]]
) -> TargetPast:
    """Of one target that was never written an empty one."""
    if name not in reader.targets:
        return TargetPast()
    first = start_of(now, HOUR) - (PERIODS - 1) * HOUR
    [(_, hours)] = reader.hours([name], Span(first, now + 1))
    span = Span(now - PERIODS * DAY, now + 1)
    changes = [
        PastChange(each.at, each.before, each.after, each.lasted, each.error_type, each.message)
        for each in reader.changes([name], span)
    ]
    return TargetPast(
        hours=tuple(_period(start, rollup) for start, rollup in sorted(hours.items())),
        days=strips(reader, [name], "days", now, unfinished)[name].periods,
        changes=tuple(reversed(changes)),
    )


def _period(start: int, rollup: Rollup) -> Period:
    healthy, degraded, unhealthy, maintenance = rollup.seconds
    p50, p95 = rollup.latency.quantile(0.5), rollup.latency.quantile(0.95)
    return Period(start, healthy, degraded, unhealthy, maintenance, p50, p95)


def _seconds(table: Table, targets: Iterable[int], first: int) -> Select[Any]:
    of = table.c
    return select(
        of.target,
        of.start,
        of.healthy_seconds,
        of.degraded_seconds,
        of.unhealthy_seconds,
        of.maintenance_seconds,
    ).where(of.target.in_(list(targets)), of.start >= first)


def _today(reader: HistoryReader, targets: Iterable[int], first: int) -> Iterator[Row[Any]]:
    """The hours that are in no day yet, by each monitor's own account."""
    rows = reader.connection.execute(select(tables.rollups.c.monitor, tables.rollups.c.daily_until))
    ended = {row.monitor: row.daily_until for row in rows}
    begin = max(first, min(ended.values(), default=first))
    query = _seconds(tables.hourly, targets, begin).add_columns(tables.hourly.c.monitor)
    for row in reader.connection.execute(query):
        if row.start >= ended.get(row.monitor, first):
            yield row


def _add(periods: dict[int, Seconds], start: int, seconds: Sequence[float]) -> None:
    known = periods.setdefault(start, [0.0] * len(KINDS))
    for kind, each in enumerate(seconds):
        known[kind] += each
