"""Maintenance windows: when a target is worked on, so that what it does is nobody's fault.

Pure functions of windows and moments (Unix seconds). Probes and verdicts go on meanwhile; alerts and service
levels leave the time out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from floe_monitor.settings.maintenance_models import MaintenanceSettings, WindowSettings
    from floe_monitor.settings.recurrence import Recurrence

FAREST = 64
"""Windows that follow one another without a gap, beyond which the end is not sought."""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """What a target is in. It lasts until `until` at least: `FAREST` bounds how far that is sought."""

    since: float
    until: float
    reason: str


@dataclass(frozen=True, slots=True)
class Once:
    """A recurrence that does not come again: one moment, in Unix seconds."""

    at: float

    def after(self, moment: float) -> float | None:
        return self.at if self.at > moment else None


@dataclass(frozen=True, slots=True)
class Window:
    """Begins at each moment of `recurrence`, and lasts `duration` seconds of real time."""

    recurrence: Recurrence | Once
    duration: float
    reason: str = ""

    @classmethod
    def of(cls, settings: WindowSettings) -> Window:
        return cls(settings.recurrence, settings.duration, settings.reason)

    def begun(self, at: float) -> float | None:
        """The beginning of the earliest of its occurrences that hold at this moment."""
        begin = self.recurrence.after(at - self.duration)
        return begin if begin is not None and begin <= at else None


@dataclass(frozen=True, slots=True)
class WindowChoice:
    """A window of the configuration's own list: of these targets, of those with these labels, or of all."""

    window: Window
    targets: frozenset[str] | None
    labels: Mapping[str, str] | None

    @classmethod
    def of(cls, settings: MaintenanceSettings) -> WindowChoice:
        targets = None if settings.targets is None else frozenset(settings.targets)
        return cls(Window.of(settings), targets, settings.labels)

    def applies(self, name: str, labels: Mapping[str, str]) -> bool:
        if self.targets is not None:
            return name in self.targets
        return self.labels is None or self.labels.items() <= labels.items()


def windows_for(choices: Iterable[WindowChoice], name: str, labels: Mapping[str, str]) -> tuple[Window, ...]:
    return tuple(choice.window for choice in choices if choice.applies(name, labels))


def maintenance_at(windows: Sequence[Window], at: float) -> Maintenance | None:
    """What the windows come to at this moment; overlapping and adjoining ones are one maintenance."""
    begun = {window: begin for window in windows if (begin := window.begun(at)) is not None}
    if not begun:
        return None
    reasons = dict.fromkeys(window.reason for window in begun if window.reason)
    until = max(begin + window.duration for window, begin in begun.items())
    for _ in range(FAREST):
        ends = [begin + window.duration for window in windows if (begin := _last(window, until)) is not None]
        if not ends or max(ends) <= until:
            break
        until = max(ends)
    return Maintenance(min(begun.values()), until, "; ".join(reasons))


def _last(window: Window, until: float) -> float | None:
    """Its next beginning up to `until` that carries on beyond it."""
    begin = window.recurrence.after(until - window.duration)
    return begin if begin is not None and begin <= until else None


def next_change(windows: Sequence[Window], at: float) -> float | None:
    """The first moment later than this one at which `maintenance_at` may be another."""
    begins = [begin for window in windows if (begin := window.recurrence.after(at)) is not None]
    current = maintenance_at(windows, at)
    return min([*begins, *([current.until] if current else [])], default=None)
