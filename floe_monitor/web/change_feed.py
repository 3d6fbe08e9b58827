"""The last changes as events for whoever listens: one log that all listeners share, each with its own place.

A sink: its thread makes the JSON of a change, once, and wakes the listeners on the event loop. The log bounds
what waits for any of them. One that falls behind its oldest change has lost some, and is told so.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import Counter, deque
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from floe_monitor.domain import serialization
from floe_monitor.domain.events import (
    ConfigReloaded,
    DeclarationsChanged,
    IncidentChanged,
    MaintenanceBegan,
    MaintenanceEnded,
    ProbeFinished,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from floe_monitor.domain.events import Event
    from floe_monitor.domain.health import Transition
    from floe_monitor.domain.state import MonitorState

KEPT = 2_048
"""Changes: a storm that is larger costs its listeners a snapshot, which says the same."""

HANGS = "the validation still hangs"


@dataclass(frozen=True, slots=True)
class Change:
    """`target` where it concerns one; `data` is JSON."""

    number: int
    event: str
    target: str | None
    data: bytes


class ChangeFeed:
    """`telemetry.fanout` calls `handle` in a thread of the sink's own; all else is for the event loop's."""

    name = "events"

    def __init__(self, state: MonitorState, kept: int = KEPT) -> None:
        self.origin = f"{round(state.started_at * 1000):x}"
        """Of this process: numbers of another one say nothing here."""
        self.closed = False
        self._lock = threading.Lock()
        self._log: deque[Change] = deque(maxlen=kept)
        self._newest = 0
        self._open_incidents: set[str] = set()
        self._watched: Counter[str] = Counter()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False
        self._changed = anyio.Event()

    # ------------------------------------------------------------ the sink's thread

    def handle(self, event: Event) -> None:
        match event:
            case ProbeFinished(result=result, transition=None):
                if result.target in self._watched:
                    self._add("probe", serialization.probe(result), result.target)
            case ProbeFinished(result=result, transition=transition) if transition is not None:
                self._moved(result.target, transition, result.error_type, result.message)
                if result.target in self._watched:
                    self._add("probe", serialization.probe(result), result.target)
            case TargetHung():
                self._moved(event.target, event.transition, "timeout", HANGS)
            case TargetStale():
                said = f"no probe could run for {event.silent:.0f} s"
                self._add("status", _status(event.target, "unknown", message=said), event.target)
            case MaintenanceBegan():
                until = moment(event.until)
                self._add("maintenance", _maintenance(event.targets, event.reason, until))
            case MaintenanceEnded():
                self._add("maintenance", _maintenance(event.targets, event.reason, None))
            case ConfigReloaded():
                body = {**serialization.reloaded(event), "problems": list(event.problems)}
                self._add("configuration", body)
            case DeclarationsChanged(declared=declared):
                texts = [each.text for each in declared.announcements]
                self._add("announcement", {"announcements": texts})
            case IncidentChanged():
                self._incident(event)

    def _moved(self, target: str, transition: Transition, error_type: str | None, message: str) -> None:
        body = _status(
            target,
            transition.after.word,
            before=transition.before.word,
            at=moment(transition.at),
            error_type=error_type,
            message=message,
        )
        self._add("status", body, target)

    def _incident(self, event: IncidentChanged) -> None:
        """Its beginning and its end: what joins it changes a status, which is told of anyhow."""
        known = event.incident
        if known.is_open is (known.id in self._open_incidents):
            return
        (self._open_incidents.add if known.is_open else self._open_incidents.discard)(known.id)
        body = {
            "id": known.id,
            "state": "open" if known.is_open else "ended",
            "began_at": moment(known.began_at),
            "ended_at": moment(known.ended_at),
            "worst_status": known.worst.word,
            "targets_total": known.members_total,
        }
        self._add("incident", body)

    def _add(self, event: str, body: Mapping[str, Any], target: str | None = None) -> None:
        data = serialization.encode(body)
        with self._lock:
            self._newest += 1
            self._log.append(Change(self._newest, event, target, data))
        loop = self._loop
        if loop is not None and not self._woken:
            self._woken = True
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(self._wake)

    # ------------------------------------------------------------ the event loop's thread

    @property
    def newest(self) -> int:
        return self._newest

    async def run(self) -> None:
        """Until cancelled; then every listener is told at once that it is over."""
        try:
            await anyio.sleep_forever()
        finally:
            self.closed = True
            self._wake()

    @contextmanager
    def watching(self, targets: Iterable[str]) -> Iterator[None]:
        """Every result of these targets is an event meanwhile."""
        self._loop = asyncio.get_running_loop()
        watched = tuple(targets)
        self._watched.update(watched)
        try:
            yield
        finally:
            for each in watched:
                self._watched[each] -= 1
                if not self._watched[each]:
                    del self._watched[each]

    def after(self, number: int) -> list[Change] | None:
        """What has happened since; None where it is not known any more, or was never told."""
        with self._lock:
            missing = self._newest - number
            if missing < 0 or missing > len(self._log):
                return None
            return list(itertools.islice(self._log, len(self._log) - missing, None))

    async def wait(self, number: int, seconds: float) -> None:
        """Until there is something newer than that, all is over, or the time is."""
        with anyio.move_on_after(seconds):
            while self._newest <= number and not self.closed:
                await self._changed.wait()

    async def pause(self, seconds: float) -> None:
        """What comes meanwhile is told together. Ends at once when all is over."""
        with anyio.move_on_after(seconds):
            while not self.closed:
                await self._changed.wait()

    def _wake(self) -> None:
        self._woken = False
        self._changed.set()
        self._changed = anyio.Event()


def _status(target: str, status: str, **rest: Any) -> dict[str, Any]:
    return {"target": target, "status": status, "before": None, "at": None, "error_type": None, **rest}


def _maintenance(targets: tuple[str, ...], reason: str, until: str | None) -> dict[str, Any]:
    return {
        "state": "ended" if until is None else "begun",
        "until": until,
        "reason": reason,
        "targets": targets,
    }
