"""Puts targets into maintenance and takes them out again, when the windows of the configuration say so, or
what people have declared."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING

from floe_monitor.domain.events import MaintenanceBegan, MaintenanceEnded
from floe_monitor.domain.maintenance import maintenance_at, next_change, windows_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.maintenance import Maintenance, Window
    from floe_monitor.domain.state import MonitorState

AT_ONCE = 1000
"""Targets changed in one turn of the scheduler: a window over ten thousand must delay no tick."""


class MaintenanceKeeper:
    """For the event loop's thread only. `wall` is Unix time: windows go by it, and it may be set back."""

    def __init__(
        self,
        state: MonitorState,
        publish: Publish,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._publish = publish
        self._clock = clock
        self._wall = wall
        self._declared = state.declared
        self._announced: dict[str, Maintenance] = {}
        self._alike: dict[tuple[Window, ...], list[str]] = {}
        self._changing: deque[tuple[str, Maintenance | None]] = deque()
        self._began: dict[Maintenance, list[str]] = {}
        self._ended: dict[Maintenance, list[str]] = {}
        self._judged, self._next = 0.0, math.inf

    def apply(self) -> None:
        """After the state's targets were replaced: those in maintenance are so from the first moment on."""
        self._group()
        while not self.turn():
            pass

    def _group(self) -> None:
        """Targets by the windows that they have: each of these is judged once."""
        alike: dict[tuple[Window, ...], list[str]] = {}
        targets = self._state.targets
        self._announced = {name: each for name, each in self._announced.items() if name in targets}
        self._declared = self._state.declared
        choices = [each.window for each in self._declared.maintenance]
        for name, snapshot in targets.items():
            target = snapshot.target
            windows = target.windows
            if choices:
                windows += windows_for(choices, name, target.labels)
            if windows or name in self._announced:
                alike.setdefault(windows, []).append(name)
        self._alike = alike
        self._judge(self._wall())

    def turn(self) -> bool:
        """Whether there is nothing left to do now."""
        now = self._wall()
        if self._state.declared is not self._declared:
            self._group()
        if not self._judged <= now < self._next:
            self._judge(now)
        for _ in range(min(AT_ONCE, len(self._changing))):
            self._change(*self._changing.popleft())
        if self._changing:
            return False
        self._announce()
        return True

    def _announce(self) -> None:
        """Once for all targets that are in the same maintenance."""
        now = self._wall()
        ended, self._ended = self._ended, {}
        began, self._began = self._began, {}
        for each, names in ended.items():
            self._publish(MaintenanceEnded(tuple(names), each.reason, each.since, now))
        for each, names in began.items():
            self._publish(MaintenanceBegan(tuple(names), each.reason, each.until))

    def _judge(self, now: float) -> None:
        """What each target is to be in; windows are looked at again at the next moment that may change it."""
        self._changing.clear()
        self._judged, self._next = now, math.inf
        for windows, names in self._alike.items():
            current = maintenance_at(windows, now)
            change = next_change(windows, now)
            if change is not None:
                self._next = min(self._next, change)
            self._changing.extend((name, current) for name in names)

    def _change(self, name: str, maintenance: Maintenance | None) -> None:
        snapshot = self._state.targets.get(name)
        if snapshot is None:
            return
        if snapshot.maintenance != maintenance:
            self._state.targets[name] = snapshot.with_maintenance(maintenance, self._clock())
        announced = self._announced.pop(name, None)
        if maintenance is not None:
            self._announced[name] = maintenance
            if announced is None:
                self._began.setdefault(maintenance, []).append(name)
        elif announced is not None:
            self._ended.setdefault(announced, []).append(name)
