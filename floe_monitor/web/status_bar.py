"""The status bar of a target: one bar for each result, its height the latency, its class the status."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.events import ProbeResult

WIDTH, HEIGHT = 600, 56
_GAP = 2.0
_LEAST = 6.0


@dataclass(frozen=True, slots=True)
class Bar:
    """In the units of the drawing; `title` is what a pointer over it shows."""

    x: float
    y: float
    width: float
    height: float
    status: str
    title: str


def bars(history: Sequence[ProbeResult], slots: int = 0) -> list[Bar]:
    """Bars from oldest to newest, the newest at the right edge; `slots`: for how many there is room."""
    slots = max(slots, len(history), 1)
    step = WIDTH / slots
    slowest = max((result.duration for result in history), default=0.0) or 1.0
    drawn = []
    for place, result in enumerate(history, slots - len(history)):
        height = max(_LEAST, HEIGHT * result.duration / slowest)
        drawn.append(
            Bar(
                x=round(place * step + _GAP / 2, 2),
                y=round(HEIGHT - height, 2),
                width=round(max(step - _GAP, 1.0), 2),
                height=round(height, 2),
                status=result.status.value,
                title=f"{result.status.value}, {milliseconds(result.duration)}",
            )
        )
    return drawn


def milliseconds(seconds: float | None) -> str:
    """A duration as read at a glance: `0.4 ms`, `12 ms`, `1.25 s`."""
    if seconds is None:
        return "–"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def percent(share: float) -> str:
    """Rounded down, so that 100 % means all of it: `100 %`, `99.98 %`, `97.3 %`."""
    if share >= 1:
        return "100 %"
    digits = 2 if share >= 0.99 else 1
    scale = 10**digits
    return f"{math.floor(share * 100 * scale + 1e-9) / scale:.{digits}f} %"


def span(seconds: float) -> str:
    """In one unit: `3 s`, `17 min`, `6 h`, `5 d`."""
    for unit, size, until in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < until:
            return f"{max(0.0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def ago(at: float | None, now: float) -> str:
    """How long ago: `3 s ago`."""
    return f"{span(now - at)} ago" if at else "never"
