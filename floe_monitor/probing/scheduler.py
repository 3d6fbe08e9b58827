"""Wakes every target at its ticks and keeps the state of each.

One task walks a heap of due times; a probe is a task of its own, so that no target waits for another. A tick
that finds its target's last probe unfinished is skipped and counted, never queued.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.events import (
    LateReturn,
    ProbeFinished,
    ProbeStarted,
    ShortageBegan,
    ShortageEnded,
    TargetHung,
    TargetStale,
    TickSkipped,
)
from floe_monitor.domain.health import advance
from floe_monitor.domain.state import Shortage, TargetSnapshot
from floe_monitor.domain.target_diff import diff
from floe_monitor.probing.connectivity import ConnectivityKeeper
from floe_monitor.probing.due_queue import DueQueue, Watched
from floe_monitor.probing.maintenance import MaintenanceKeeper
from floe_monitor.probing.runner import Attempt
from floe_monitor.probing.schedule import first_delay, fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from floe_monitor.domain.events import ProbeResult, Publish, SkipReason, Trigger
    from floe_monitor.domain.health import Health
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.target_diff import Changes
    from floe_monitor.domain.targets import Target
    from floe_monitor.probing.runner import Runner
    from floe_monitor.probing.workers import WorkerPool

BEAT_SECONDS = 1.0
"""The scheduler turns at least this often, and sets `state.scheduler_beat` each time."""

SLOT_WAIT_SECONDS = 5.0
"""How long a request to validate waits for a slot, at least, before it is refused."""
SLOT_POLL_SECONDS = 0.1

STALE_INTERVALS = 3
"""A target that could not be probed for this many intervals is UNKNOWN, whatever it was."""


class NoSlotError(Exception):
    """A probe asked for has found no free slot; it stays under way."""


class Scheduler:
    """Probes the targets it was given last. For the event loop's thread only."""

    def __init__(
        self,
        state: MonitorState,
        pool: WorkerPool,
        runner: Runner,
        publish: Publish,
        *,
        history: int = 20,
        salt: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._pool = pool
        self._runner = runner
        self._publish = publish
        self.history = history
        self._salt = salt
        self._clock = clock
        self._origin = clock()
        self._watched: dict[str, Watched] = {}
        self._due_queue = DueQueue()
        self._wake = asyncio.Event()
        self._awaiting_first: set[str] = set()
        self._probes: asyncio.TaskGroup | None = None
        self._maintenance = MaintenanceKeeper(state, publish, clock)
        self._connectivity = ConnectivityKeeper(state, publish, clock)

    def apply(self, targets: Mapping[str, Target]) -> Changes:
        """Watch exactly these targets; what that changes.

        One whose fingerprint is unchanged keeps its phase, state, history and probe under way, and has its
        labels from now on; a changed one starts anew, and what its former probe still reports is dropped.
        """
        now = self._clock()
        former, self._watched = self._watched, {}
        changes = diff({name: watched.target for name, watched in former.items()}, targets)
        unchanged = set(changes.unchanged)
        fresh = [name for name in targets if name not in unchanged]
        snapshots: dict[str, TargetSnapshot] = {}
        for name, target in targets.items():
            if name in unchanged:
                kept = self._watched[name] = former[name]
                kept.target = target
                snapshots[name] = replace(self._state.targets[name], target=target)
                continue
            place = fraction(name, self._salt)
            watched = self._watched[name] = Watched.begin(target, self._origin, place, now)
            snapshots[name] = TargetSnapshot(target)
            self._due_queue.put(watched, now + first_delay(place, target.policy.interval, len(fresh)))
        for name, gone in former.items():
            if self._watched.get(name) is not gone and gone.waiting_for_slot and gone.task is not None:
                # Its result is not needed, and reloads while slots are short would accumulate such probes.
                gone.task.cancel()
        self._due_queue.keep(self._is_current)
        self._state.targets = snapshots
        self._maintenance.apply()
        self._end_shortages([name for name in self._state.shortages if name not in unchanged])
        self._awaiting_first = (self._awaiting_first & targets.keys()) | set(fresh)
        self._note_first_round()
        self._connectivity.apply(unchanged)
        plugins = {target.plugin_name for target in targets.values() if target.entry.plugin is not None}
        for plugin in plugins:
            self._pool.announce(plugin)
        for watched in former.values():
            if watched.target.plugin_name not in plugins:
                self._pool.forget(watched.target.plugin_name)
        self._runner.retire(
            [target.entry.plugin for target in targets.values() if target.entry.plugin is not None]
        )
        self._wake.set()
        return changes

    async def run(self, probes: asyncio.TaskGroup) -> None:
        """Start probes in `probes` until cancelled. A task of anyio's own would cost 50 µs more."""
        self._probes = probes
        try:
            while True:
                now = self._clock()
                self._state.scheduler_beat = time.monotonic()
                for due, watched in self._due_queue.due(now):
                    self._tick(watched, due, now)
                idle = self._maintenance.turn()
                await self._sleep(self._due_queue.pause(now, BEAT_SECONDS) if idle else 0.0)
        finally:
            self._probes = None

    async def validate(self, name: str) -> ProbeResult:
        """Probe a target now, or join the probe under way. `KeyError` for an unknown target.

        Where the target's last validation still hangs there is nothing to start: its timeout is the answer.
        `NoSlotError` when no slot was free for as long as a probe may take, `MonitorResourceError` when the
        monitor had no means for it.
        """
        while True:
            watched = self._watched[name]
            last = self._state.targets[name].last
            if watched.stuck and last is not None:
                return last
            if watched.attempt is None:
                self._start(watched, None, "request")
            assert watched.result is not None  # noqa: S101 - an attempt has one
            result = watched.result
            await self._until_slot(watched, result)
            done, _ = await asyncio.wait([result])
            if not result.cancelled():
                return done.pop().result()
            if self._is_current(watched):
                raise asyncio.CancelledError

    async def _until_slot(self, watched: Watched, result: asyncio.Future[ProbeResult]) -> None:
        give_up = self._clock() + max(SLOT_WAIT_SECONDS, watched.target.policy.timeout)
        # The task of a probe just created takes its slot at its first turn.
        await asyncio.sleep(0)
        while watched.waiting_for_slot and not result.done():
            if self._clock() >= give_up:
                raise NoSlotError(
                    f"every worker for {watched.target.plugin_name} is taken; the probe waits for one"
                )
            await asyncio.wait([result], timeout=SLOT_POLL_SECONDS)

    async def _sleep(self, seconds: float) -> None:
        self._wake.clear()
        handle = asyncio.get_running_loop().call_later(max(0.0, seconds), self._wake.set)
        try:
            await self._wake.wait()
        finally:
            handle.cancel()

    def _is_current(self, watched: Watched) -> bool:
        return self._watched.get(watched.target.name) is watched

    def _tick(self, watched: Watched, due: float, now: float) -> None:
        if not self._is_current(watched):
            return
        table = watched.timetable
        first = watched.result is None and watched.attempt is None
        late = 0 if first else table.missed(due, now)
        self._due_queue.put(watched, table.after_first(due) if first else table.next_after(now))
        if late:
            self._skip(watched, "late", late)
        if watched.attempt is None:
            self._start(watched, now - due, "schedule")
            return
        reason: SkipReason = (
            "stuck" if watched.stuck else "no_slot" if watched.waiting_for_slot else "running"
        )
        self._skip(watched, reason)
        if reason == "stuck":
            self._count_hang(watched)
        else:
            self._note_staleness(watched, now)

    def _skip(self, watched: Watched, reason: SkipReason, count: int = 1) -> None:
        self._publish(TickSkipped(watched.target.name, watched.target.plugin_name, reason, count))

    def _start(self, watched: Watched, lag: float | None, trigger: Trigger) -> None:
        if self._probes is None:
            raise RuntimeError("the scheduler is not running")
        watched.attempt = Attempt(watched.target, worker_ended=lambda _: self._worker_ended(watched))
        watched.result = asyncio.get_running_loop().create_future()
        watched.task = self._probes.create_task(
            self._probe(watched, watched.attempt, watched.result, lag, trigger),
            name=f"probe {watched.target.name}",
        )

    async def _probe(
        self,
        watched: Watched,
        attempt: Attempt,
        future: asyncio.Future[ProbeResult],
        lag: float | None,
        trigger: Trigger,
    ) -> None:
        target = watched.target
        if not self._is_current(watched):  # replaced before this task's first turn
            future.cancel()
            return
        try:
            if target.entry.plugin is None:
                result = self._runner.without_worker(attempt, trigger)
            else:
                asked = self._clock()
                watched.waiting_for_slot = True
                slot = await self._pool.acquire(target.plugin_name)
                watched.waiting_for_slot = False
                self._publish(ProbeStarted(target.name, target.plugin_name, lag, self._clock() - asked))
                result = await self._runner.run(attempt, slot, trigger)
        except MonitorResourceError as shortage:
            watched.attempt = None
            if self._is_current(watched):
                self._note_shortage(watched, str(shortage), trigger)
            future.set_exception(shortage)
            future.exception()  # retrieved: perhaps nobody waits for it
            return
        except BaseException:  # whoever waits for the result must not wait for ever
            future.cancel()
            raise
        if attempt.overdue_since is None:
            watched.attempt = None
        if self._is_current(watched):
            self._record(watched, result)
        future.set_result(result)

    def _record(self, watched: Watched, result: ProbeResult) -> None:
        target = watched.target
        snapshot = self._state.targets[target.name]
        health, transition = advance(
            snapshot.health, result.status, result.finished_at, target.policy.thresholds
        )
        watched.since = self._clock()
        if target.entry.plugin is not None:
            self._state.last_probed = time.monotonic()
        self._end_shortages([target.name])
        self._state.targets[target.name] = snapshot.after(result, health, self.history, watched.since)
        self._keep_pace(watched, health, result.status)
        self._awaiting_first.discard(target.name)
        self._note_first_round()
        self._connectivity.note(self._state.targets[target.name])
        self._publish(ProbeFinished(result, health, transition, target.db_system))

    def _keep_pace(self, watched: Watched, health: Health, result: ConnectionStatus) -> None:
        due = watched.change_pace(health.status, result, self._clock())
        if due is not None:
            self._due_queue.put(watched, due)
            self._wake.set()

    def _note_shortage(self, watched: Watched, what: str, trigger: Trigger) -> None:
        """The tick is skipped: what the monitor lacks is no fault of the target."""
        if trigger == "schedule":
            self._skip(watched, "shortage")
        shortages, name = self._state.shortages, watched.target.name
        began = not shortages
        since = shortages[name].since if name in shortages else time.monotonic()
        shortages[name] = Shortage(since, what)
        if began:
            self._publish(ShortageBegan(what))
        self._note_staleness(watched, self._clock())

    def _end_shortages(self, names: Iterable[str]) -> None:
        shortages = self._state.shortages
        ended = [found for name in names if (found := shortages.pop(name, None)) is not None]
        if ended and not shortages:
            self._publish(ShortageEnded(time.monotonic() - min(shortage.since for shortage in ended)))

    def _worker_ended(self, watched: Watched) -> None:
        attempt, watched.attempt = watched.attempt, None
        if attempt is None or attempt.overdue_since is None:
            return
        overdue = time.monotonic() - attempt.overdue_since
        self._publish(LateReturn(watched.target.name, watched.target.plugin_name, overdue))

    def _note_staleness(self, watched: Watched, now: float) -> None:
        policy = watched.target.policy
        snapshot = self._state.targets[watched.target.name]
        if (
            snapshot.stale
            or now - watched.since <= STALE_INTERVALS * policy.longest_interval + policy.timeout
        ):
            return
        self._state.targets[watched.target.name] = snapshot.as_stale(time.time(), now)
        self._publish(TargetStale(watched.target.name, watched.target.plugin_name, now - watched.since))

    def _count_hang(self, watched: Watched) -> None:
        """A tick that finds the validation still hanging counts like its timeout: no result will say so."""
        target = watched.target
        snapshot = self._state.targets[target.name]
        status = ConnectionStatus.UNHEALTHY if snapshot.last is None else snapshot.last.status
        health, transition = advance(snapshot.health, status, time.time(), target.policy.thresholds)
        self._state.targets[target.name] = replace(snapshot, health=health)
        self._keep_pace(watched, health, status)
        if transition is not None:
            self._publish(TargetHung(target.name, target.plugin_name, transition))

    def _note_first_round(self) -> None:
        if not self._awaiting_first:
            self._state.first_round_done = True
