"""The strip of a target's past, as paths of an inline drawing: one bar for each period or result.

Bars of one kind that follow one another are one line, which the style sheet's dashes cut into bars: a page
has a hundred strips of ninety bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus as Status
from floe_monitor.domain.plurals import counted
from floe_monitor.domain.uptime import LENGTHS, uptime
from floe_monitor.web.formatters import percent, span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.domain.uptime import Period, Strip, Unit

BARS = 90
STEP, BAR, HEIGHT = 4, 3, 28
"""In the units of the drawing; the style sheet's dashes are as wide."""
RESULTS = 30
"""Bars of a strip of results."""
_LEAST = 0.3
"""Of the height: what is short must be seen too."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """`paths`: class and path. `label` says it in words."""

    width: int
    paths: tuple[tuple[str, str], ...]
    label: str
    uptime: float | None
    unread: bool = False
    """There is more to come."""


@dataclass(frozen=True, slots=True)
class _Bar:
    """`kind` all of it, but for `failed`, the share at its foot that is red."""

    kind: str
    failed: float = 0.0


def draw_strip(strip: Strip, now: float) -> Drawing:
    """The last `BARS` hours or days up to now."""
    length = LENGTHS[strip.unit]
    first = int(now // length) - BARS + 1
    bars: list[_Bar | None] = [None] * BARS
    shown: list[Period] = []
    for period in strip.periods:
        place = period.start // length - first
        if 0 <= place < BARS:
            bars[place] = _bar(period)
            shown.append(period)
    share = uptime(shown)
    return Drawing(BARS * STEP - 1, tuple(_paths(bars)), _describe_strip(strip, shown, share), share)


class Drawings:
    """Of strips that are drawn again and again while they stay the same."""

    def __init__(self, kept: int = 1_000) -> None:
        self._kept = kept
        self._known: dict[str, tuple[Strip, int, Drawing]] = {}

    def draw(self, name: str, strip: Strip, now: float) -> Drawing:
        period = int(now // LENGTHS[strip.unit])
        known = self._known.get(name)
        if known is not None and known[0] is strip and known[1] == period:
            return known[2]
        drawing = draw_strip(strip, now)
        while len(self._known) >= self._kept:
            del self._known[next(iter(self._known))]
        self._known[name] = strip, period, drawing
        return drawing


def draw_unread() -> Drawing:
    """Of a target whose past is not read yet."""
    return Drawing(
        BARS * STEP - 1, tuple(_paths([None] * BARS)), "the past is not read yet", None, unread=True
    )


def draw_results(snapshot: TargetSnapshot, now: float) -> Drawing:
    """Where no history is kept: the results in memory, and uptime since the start, both of which are few."""
    results = snapshot.history[-RESULTS:]
    bars: list[_Bar | None] = [None] * (RESULTS - len(results))
    bars += [_of_result(result) for result in results]
    availability = snapshot.availability
    healthy, degraded, unhealthy = (
        availability.seconds(each, now) for each in (Status.HEALTHY, Status.DEGRADED, Status.UNHEALTHY)
    )
    watched = healthy + degraded + unhealthy
    share = (healthy + degraded) / watched if watched > 0 else None
    failed = sum(result.status is Status.UNHEALTHY for result in results)
    said = f"the last {counted(len(results), 'result')}, {failed} of them unhealthy"
    return Drawing(RESULTS * STEP - 1, tuple(_paths(bars)), said, share)


def _bar(period: Period) -> _Bar | None:
    if period.watched <= 0:
        return _Bar("maintenance") if period.maintenance > 0 else None
    kind = "degraded" if period.degraded > period.healthy else "healthy"
    if period.healthy == period.degraded == 0:
        return _Bar("unhealthy")
    if period.unhealthy > 0:
        return _Bar(kind, max(_LEAST, period.failed))
    return _Bar("degraded" if period.degraded > 0 else "healthy")


def _of_result(result: ProbeResult) -> _Bar:
    return _Bar(result.status.value)


def _paths(bars: Sequence[_Bar | None]) -> Iterator[tuple[str, str]]:
    middle = HEIGHT / 2
    for kind in dict.fromkeys([None if bar is None else bar.kind for bar in bars]):
        runs = _runs([(None if bar is None else bar.kind) == kind for bar in bars])
        path = "".join(f"M{begin * STEP} {middle:g}H{end * STEP - STEP + BAR}" for begin, end in runs)
        yield kind or "unwatched", path
    failed = [(place, bar.failed) for place, bar in enumerate(bars) if bar is not None and bar.failed > 0]
    if failed:
        yield (
            "foot",
            "".join(
                f"M{place * STEP} {HEIGHT}h{BAR}v{-round(HEIGHT * share, 1):g}h-{BAR}z"
                for place, share in failed
            ),
        )


def _runs(marks: Iterable[bool]) -> Iterator[tuple[int, int]]:
    begun = None
    place = -1
    for place, marked in enumerate(marks):
        if marked and begun is None:
            begun = place
        elif not marked and begun is not None:
            yield begun, place
            begun = None
    if begun is not None:
        yield begun, place + 1


def _describe_strip(strip: Strip, shown: Sequence[Period], share: float | None) -> str:
    noun = strip.unit[:-1]
    if not shown:
        return f"the last {BARS} {strip.unit}: nothing was watched"
    failed = sum(period.unhealthy > 0 for period in shown)
    watched = f", watched in {len(shown)} of them" if len(shown) < BARS else ""
    failures = f"failures in {counted(failed, noun)}" if failed else "no failure"
    return f"the last {BARS} {strip.unit}{watched}: {percent(share)} usable, {failures}"


def describe_period(period: Period, unit: Unit) -> str:
    """One bar in words."""
    began = datetime.fromtimestamp(period.start, UTC)
    at = f"{began:%b} {began.day}" + (f", {began:%H:%M} UTC" if unit == "hours" else "")
    if period.watched <= 0:
        return f"{at}: maintenance" if period.maintenance > 0 else f"{at}: not watched"
    parts = [f"{percent(uptime((period,)))} usable"]
    if period.unhealthy:
        parts.append(f"unhealthy for {span(period.unhealthy)}")
    if period.degraded:
        parts.append(f"degraded for {span(period.degraded)}")
    if period.maintenance:
        parts.append(f"in maintenance for {span(period.maintenance)}")
    return f"{at}: {', '.join(parts)}"
