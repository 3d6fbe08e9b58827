"""Latency over time as lines of an inline drawing: of a history's hours median and 95th percentile, else of
each result in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.domain.uptime import LENGTHS
from floe_monitor.web.formatters import milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.uptime import Period

WIDTH, HEIGHT = 900, 180
HOURS = 90


@dataclass(frozen=True, slots=True)
class Row:
    """What the drawing shows at one moment, for those who do not see it."""

    at: float
    p50: float
    p95: float


@dataclass(frozen=True, slots=True)
class Chart:
    """`lines`: class and path. `top`: seconds at the upper edge. `axis`: moments from left to right.

    Of hours, whose percentiles cannot be joined exactly, `p50` is that of the middle one, and `p95` that of
    the one that is slower than 95 % of them.
    """

    lines: tuple[tuple[str, str], ...]
    top: float
    axis: tuple[float, ...]
    p50: float
    p95: float
    of_results: bool
    rows: tuple[Row, ...]

    @property
    def label(self) -> str:
        what = f"{len(self.rows)} results" if self.of_results else f"{len(self.rows)} hours"
        return f"{what}: median {milliseconds(self.p50)}, 95th percentile {milliseconds(self.p95)}"


def chart_of_periods(hours: Sequence[Period], now: float) -> Chart | None:
    """The last `HOURS` hours; None where fewer than two of them have results."""
    length = LENGTHS["hours"]
    first = (int(now // length) - HOURS + 1) * length
    rows = tuple(
        Row(hour.start, hour.p50, hour.p95)
        for hour in hours
        if hour.start >= first and hour.p50 is not None and hour.p95 is not None
    )
    if len(rows) < 2:
        return None
    axis = (first, first + HOURS * length / 3, first + HOURS * length * 2 / 3, now)
    top = _top(row.p95 for row in rows)
    places = [(WIDTH * (row.at - first + length / 2) / (HOURS * length), row) for row in rows]
    step = WIDTH / HOURS
    lines = (
        ("p95", _line([(x, row.p95) for x, row in places], top, step * 1.5)),
        ("p50", _line([(x, row.p50) for x, row in places], top, step * 1.5)),
    )
    p50, p95 = quantile(sorted(row.p50 for row in rows), 0.5), quantile(sorted(row.p95 for row in rows), 0.95)
    return Chart(lines, top, axis, p50, p95, False, rows)


def chart_of_results(results: Sequence[ProbeResult]) -> Chart | None:
    """None where there are fewer than two."""
    if len(results) < 2:
        return None
    rows = tuple(Row(result.started_at, result.duration, result.duration) for result in results)
    top = _top(row.p50 for row in rows)
    step = WIDTH / (len(rows) - 1)
    places = [(place * step, row.p50) for place, row in enumerate(rows)]
    durations = sorted(row.p50 for row in rows)
    return Chart(
        (("p50", _line(places, top, math.inf)),),
        top,
        (rows[0].at, rows[len(rows) // 2].at, rows[-1].at),
        quantile(durations, 0.5),
        quantile(durations, 0.95),
        True,
        rows,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _top(values: Iterable[float]) -> float:
    """The next of 1, 2, 5, 10 … above all."""
    most = max([*values, 1e-4])
    power: float = 10.0 ** math.floor(math.log10(most))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most * 0.999)


def _line(points: Sequence[tuple[float, float]], top: float, longest: float) -> str:
    """Broken where more than that lies between two points: nothing was watched there."""
    path, before = [], -math.inf
    for x, value in points:
        y = HEIGHT - 4 - (HEIGHT - 8) * min(1.0, value / top)
        move = "M" if x - before > longest or before == -math.inf else "L"
        path.append(f"{move}{x:.1f} {y:.1f}")
        before = x
    return "".join(path)
