"""Profiles kept equal to the configuration for as long as the daemon runs."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import anyio

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.worker_thread import Call, WorkerThread
from floe_monitor.domain.events import ProfileReconciled
from floe_monitor.profiles.directory_watch import DirectoryWatch
from floe_monitor.profiles.files import real_path
from floe_monitor.profiles.reconcile import Assignment, Outcome, Reconciler

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from anyio.abc import TaskGroup

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.targets import Target
    from floe_monitor.settings.models import ProfileSettings

_T = TypeVar("_T")

log = logging.getLogger("floe_monitor.profiles")

ANSWER_SECONDS = 10.0
_LEAST_PAUSE_SECONDS = 0.5
"""Least time between two passes that file events ask for: a file under constant change costs no more."""
_RELEASE_SECONDS = 0.5
_STANDBY_SECONDS = 2.0
"""At most this long until a profile whose owner has ended is taken over."""


class ProfileSynchronizer:
    """Reconciles every profile at the start, when the configuration changes, and when its file drifts.

    Each profile has its own task and its own threads, so that a file system that does not answer holds up
    nothing but its own profile.
    """

    def __init__(
        self,
        profiles: Sequence[ProfileSettings],
        targets: Mapping[str, Target],
        *,
        publish: Publish,
        state: MonitorState,
        environ: Mapping[str, str],
        now: Callable[[], float] = time.time,
        answer_timeout: float = ANSWER_SECONDS,
    ) -> None:
        self._publish = publish
        self._state = state
        self._environ = environ
        self._now = now
        self._answer_timeout = answer_timeout
        self._wanted = _by_label(profiles, targets)
        self._applied = anyio.Event()
        self._tasks: dict[str, _ProfileTask] = {}
        state.awaited_profiles = frozenset(self._wanted)

    def apply(self, profiles: Sequence[ProfileSettings], targets: Mapping[str, Target]) -> None:
        """Take over a new configuration. Returns at once; to be called on the event loop."""
        self._wanted = _by_label(profiles, targets)
        self._state.awaited_profiles &= self._wanted.keys()
        self._applied.set()

    async def run(self) -> None:
        """Until cancelled. Then every profile's lock is released, so that another daemon can keep it."""
        async with anyio.create_task_group() as tasks:
            while True:
                self._applied = anyio.Event()
                self._settle(tasks)
                await self._applied.wait()

    def _settle(self, tasks: TaskGroup) -> None:
        for label, task in list(self._tasks.items()):
            wanted = self._wanted.get(label)
            if wanted is None or wanted.profile.path != task.assignment.profile.path:
                self._tasks.pop(label).cancel()
                self._state.profiles.pop(label, None)
        for label, assignment in self._wanted.items():
            if label in self._tasks:
                self._tasks[label].reassign(assignment)
            else:
                self._tasks[label] = task = _ProfileTask(self, label, assignment)
                tasks.start_soon(task.run, name=f"profile {label}")

    def report(self, task: _ProfileTask, outcome: Outcome) -> None:
        """Publish what is news: a write always, anything else when it differs from the last."""
        if self._tasks.get(task.label) is not task:
            return
        before = self._state.profiles.get(task.label)
        event = ProfileReconciled(task.label, outcome.result, self._now(), outcome.text)
        self._state.profiles[task.label] = event
        self._state.awaited_profiles -= {task.label}
        same = before is not None and (before.result, before.message) == (event.result, event.message)
        if outcome.result == "written" or not same:
            self._publish(event)

    def reconciler(self) -> Reconciler:
        return Reconciler(self._publish, self._environ, owns=True)

    @property
    def answer_timeout(self) -> float:
        return self._answer_timeout


def _by_label(profiles: Sequence[ProfileSettings], targets: Mapping[str, Target]) -> dict[str, Assignment]:
    """Profiles by the name they are shown under: their own, with the path where two share it."""
    names = [profile.name for profile in profiles]
    return {
        p.name if names.count(p.name) == 1 else f"{p.name} ({p.path})": Assignment(_fixed(p), dict(targets))
        for p in profiles
    }


def _fixed(profile: ProfileSettings) -> ProfileSettings:
    """With its path in full: a plugin may change the working directory meanwhile."""
    if profile.path.startswith("~"):
        return profile
    return profile.model_copy(update={"path": os.path.abspath(profile.path)})  # noqa: PTH100 - links stay


class _ProfileTask:
    """One profile, its task, its thread and its directory watch."""

    def __init__(self, synchronizer: ProfileSynchronizer, label: str, assignment: Assignment) -> None:
        self.label = label
        self.assignment = assignment
        self._synchronizer = synchronizer
        self._reconciler = synchronizer.reconciler()
        self._scope = anyio.CancelScope()
        self._asked = anyio.Event()
        self._stopped = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._standing_by = False
        self._watch: DirectoryWatch | None = None

    def reassign(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self._asked.set()

    def cancel(self) -> None:
        self._scope.cancel()

    async def run(self) -> None:
        worker: WorkerThread | None = None
        try:
            with self._scope:
                worker = await self._start_worker()
                while True:
                    self._asked = anyio.Event()
                    await self._pass(worker)
                    await self._until_asked()
        finally:
            self._stopped.set()
            if self._watch is not None:
                self._watch.stop()
            if worker is not None:
                _, released = self._submit(worker, self._reconciler.release)
                worker.end()
                with anyio.move_on_after(_RELEASE_SECONDS, shield=True):
                    await released.wait()

    async def _start_worker(self) -> WorkerThread:
        while True:
            try:
                return WorkerThread(f"profile-{self.label}", "the profile")
            except MonitorResourceError as error:
                self._synchronizer.report(self, Outcome("failed", str(error)))
            await anyio.sleep(_STANDBY_SECONDS)

    async def _pass(self, worker: WorkerThread) -> None:
        assignment = self.assignment
        call, done = self._submit(worker, lambda: self._work(assignment))
        seconds = self._synchronizer.answer_timeout
        with anyio.move_on_after(seconds) as limit:
            await done.wait()
        if limit.cancelled_caught:
            text = f"no answer for {seconds:g} s from the file system or a plugin; still waiting"
            self._synchronizer.report(self, Outcome("failed", text))
            await done.wait()
        try:
            outcome, paths = call.get()
        except Exception as error:  # a fault of ours in one profile must not stop the daemon
            log.exception("profile %s could not be synchronized", self.label)
            outcome = Outcome("failed", f"unexpected {type(error).__name__}; the log says where")
            paths = frozenset()
        self._standing_by = outcome.result == "foreign_owner"
        if assignment is self.assignment:
            self._synchronizer.report(self, outcome)
        self._watch_over(paths)

    def _work(self, assignment: Assignment) -> tuple[Outcome, frozenset[Path]]:
        """In the thread: also where to watch, since following links may hang as well."""
        outcome = self._reconciler.run(assignment, self._stopped)
        with suppress(OSError, RuntimeError, ValueError):
            configured = Path(assignment.profile.path).expanduser()
            paths = {real_path(str(configured.parent)) / configured.name, real_path(str(configured))}
            return outcome, frozenset(path for path in paths if path.parent.is_dir())
        return outcome, frozenset()

    async def _until_asked(self) -> None:
        interval = self.assignment.profile.reconcile_interval
        with anyio.move_on_after(min(interval, _STANDBY_SECONDS) if self._standing_by else interval):
            assignment = self.assignment
            await self._asked.wait()
            if assignment is self.assignment:
                await anyio.sleep(_LEAST_PAUSE_SECONDS)

    def _watch_over(self, paths: frozenset[Path]) -> None:
        if self._watch is not None and (self._watch.paths != paths or not self._watch.alive):
            self._watch.stop()
            self._watch = None
        if self._watch is None and paths:
            self._watch = DirectoryWatch(f"watch-{self.label}", paths, self._notify)

    def _notify(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ask)

    def _ask(self) -> None:
        self._asked.set()

    def _submit(self, worker: WorkerThread, function: Callable[[], _T]) -> tuple[Call[_T], anyio.Event]:
        """The call, and an event that is set on the event loop when it has ended."""
        done = anyio.Event()

        def wake(_: object) -> None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(done.set)

        return worker.submit(function, wake), done
