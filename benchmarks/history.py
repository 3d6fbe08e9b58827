"""A year of 1,000 targets in the embedded history: its size, and how fast it is written and reported on.

Hours of the last 90 days and days of the year, each one of 500 that were drawn. Status changes are eight a
day for each hundred targets.
"""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.span import Span
from floe_monitor.history import tables
from floe_monitor.history.batch import Batch, ResultRow, TransitionRow
from floe_monitor.history.database import resolve
from floe_monitor.history.reader import open_history
from floe_monitor.history.report import build_report
from floe_monitor.history.rollup import DAY, HOUR, Rollup
from floe_monitor.history.store import HistoryStore
from floe_monitor.settings.history_models import HistoryUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = 1000
HOURLY_DAYS, DAILY_DAYS = 90, 365
_RESULTS_AN_HOUR = 120


def _hour(chance: random.Random) -> Rollup:
    rollup = Rollup()
    typical = chance.uniform(0.01, 0.2)
    for _ in range(_RESULTS_AN_HOUR):
        rollup.latency.add(chance.lognormvariate(0, 0.35) * typical)
    failed = chance.randrange(4) if chance.random() < 0.05 else 0
    rollup.counts = [_RESULTS_AN_HOUR - failed, 0, failed, 0]
    rollup.seconds = [HOUR - 30.0 * failed, 0.0, 30.0 * failed, 0.0]
    return rollup


def _fill(store: HistoryStore, now: float) -> None:
    """In the order of the keys, which is not how a daemon writes it, and without waiting for the disk."""
    chance = random.Random(1)
    drawn = [_hour(chance) for _ in range(500)]
    day = Rollup()
    for each in drawn[:24]:
        day.merge(each)
    connection: Any = store.connection
    end, today = int(now // HOUR) * HOUR, int(now // DAY) * DAY
    numbers = range(1, TARGETS + 1)
    driver = connection.connection.driver_connection
    driver.execute("PRAGMA synchronous = OFF")
    driver.execute("PRAGMA wal_autocheckpoint = 20000")
    packed = [tuple(each.as_row(0, 0, 1).values())[3:] for each in drawn]
    of_day = tuple(day.as_row(0, 0, 1).values())[3:]
    with connection.begin():
        names = [{"name": f"target-{number:04}"} for number in numbers]
        connection.execute(tables.insert_name(tables.targets), names)
        connection.execute(
            tables.upsert(tables.rollups), {"monitor": 1, "hourly_until": end, "daily_until": today}
        )
    marks = ", ".join("?" * len(tables.hourly.columns))
    for number in numbers:
        with connection.begin():
            driver.executemany(
                f"INSERT INTO hourly VALUES ({marks})",  # noqa: S608 - question marks
                [
                    (number, start, 1, *chance.choice(packed))
                    for start in range(end - HOURLY_DAYS * DAY, end, HOUR)
                ],
            )
            driver.executemany(
                f"INSERT INTO daily VALUES ({marks})",  # noqa: S608 - as above
                [(number, start, 1, *of_day) for start in range(today - DAILY_DAYS * DAY, today, DAY)],
            )
    changes = [
        TransitionRow(
            f"target-{chance.randint(1, TARGETS):04}",
            now - chance.random() * DAILY_DAYS * DAY,
            HealthStatus.HEALTHY,
            HealthStatus.UNHEALTHY,
            3600.0,
            "timeout",
            "connect timed out after 5 s",
        )
        for _ in range(8 * DAILY_DAYS * TARGETS // 100)
    ]
    store.write(Batch(transitions=changes), {})
    driver.execute("PRAGMA synchronous = FULL")
    driver.execute("PRAGMA wal_autocheckpoint = 200")
    driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _write_seconds(store: HistoryStore, now: float) -> float:
    """CPU that a second of 1,000 targets at 30 s costs, over a minute of them."""
    began = time.process_time()
    for second in range(60):
        results = [
            ResultRow(f"target-{number % TARGETS + 1:04}", now + second + number / 1000, 1, 0.05, None, False)
            for number in range(second * 33, second * 33 + 33)
        ]
        store.write(Batch(results=results), {})
    return (time.process_time() - began) / 60


def rows() -> Iterator[Row]:
    """Each as soon as it is measured."""
    now = time.time() - 120
    with tempfile.TemporaryDirectory() as folder:
        url = HistoryUrl(plain=f"sqlite:///{folder}/history.db")
        store = HistoryStore(resolve(url, {}), "here")
        store.open()
        began = time.perf_counter()
        _fill(store, now)
        filled = time.perf_counter() - began
        size = sum(each.stat().st_size for each in Path(folder).iterdir() if "ballast" not in each.name)
        yield Row(
            "history: a year of 1,000 targets, hours of 90 days",
            f"{size / 1e6:.0f} MB",
            "≤ 400 MB",
            size <= 400e6,
            f"generated in {filled:.0f} s",
        )
        cost = _write_seconds(store, now)
        yield Row(
            "history: CPU a second to write 33 results",
            f"{cost * 1000:.2f} ms",
            "≤ 10 ms",
            cost <= 0.01,
            "one transaction, synchronous",
        )
        store.release()
        with open_history(url, {}) as reader:
            for names, limit in ((["target-0500"], 0.3), ([], 3.0)):
                began = time.process_time()
                span = Span(now - 30 * DAY, now + 120)
                report = build_report(reader, names, span, lambda _: 0.995, now - HOURLY_DAYS * DAY)
                took = time.process_time() - began
                yield Row(
                    f"history: CPU of a report of 30 days, targets: {len(report.targets)}",
                    f"{took * 1000:.0f} ms",
                    f"≤ {limit:g} s",
                    took <= limit and len(report.targets) == (len(names) or TARGETS),
                    f"p95 {report.targets[0].p95 or 0:.3f} s",
                )
