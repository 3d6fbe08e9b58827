"""The sink that keeps a history: events go into a bounded buffer, and once a second into the database.

Only the writer's thread waits for the database. Whatever is wrong with it is told once, when it begins and
when it ends, and tried again; meanwhile the buffer keeps what it has room for, and the rest is dropped and
counted.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.exc import DBAPIError

from floe_monitor.domain.declarations import Declarations
from floe_monitor.domain.events import (
    DeclarationsChanged,
    IncidentChanged,
    ProbeFinished,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.saved_state import SavedTarget
from floe_monitor.history import retention
from floe_monitor.history.batch import Batch, ResultRow, TransitionRow
from floe_monitor.history.database import describe, resolve
from floe_monitor.history.errors import HistoryCorruptError, HistoryUnavailableError
from floe_monitor.history.sqlite_file import is_corrupt, is_full
from floe_monitor.history.store import HistoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.domain.events import Event
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.history.store import States
    from floe_monitor.settings.history_models import HistorySettings

log = logging.getLogger("floe_monitor.history")

FLUSH_SECONDS = 1.0
BUFFERED = 50_000
"""Rows that wait for the database at most: two and a half minutes of 10,000 targets at 30 s."""
RETRY_SECONDS = 30.0
"""The longest pause before a database that cannot be used is tried again."""
LOOK_SECONDS = 60.0
"""How often it is looked at whether the file is still there."""
EXPIRE_SECONDS = 3600.0
CLOCK_STEP = 60.0
"""Seconds by which results must go back in time for the clock to count as set back."""


class SavedState(NamedTuple):
    """What the last process has left."""

    states: States
    incidents: list[Incident]
    declared: Declarations = Declarations()


class HistoryRecorder:
    """`telemetry.fanout` calls `handle` in a thread of the sink's own."""

    name = "history"

    def __init__(
        self,
        settings: HistorySettings,
        state: MonitorState,
        environ: Mapping[str, str],
        monitor: str,
        dropped: Callable[[str, int], None],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._state = state
        self._environ = environ
        self._monitor = monitor
        self._dropped = dropped
        self._clock = clock
        self._lock = threading.Lock()
        self._buffer = Batch()
        self._waiting = Batch()
        """The writer's: what it has taken and could not write."""
        self._store: HistoryStore | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._reported = ""
        self._pause = FLUSH_SECONDS
        self._checked = False
        # Not 0: the clock that they are read from begins with the machine, which may have just started.
        self._looked_at = self._expired_at = float("-inf")
        self._newest = 0.0
        self.saved_state: Future[SavedState] = Future()

    def start(self) -> None:
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Write what there is; whatever takes longer than `timeout` seconds is lost."""
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    # ------------------------------------------------------------ the sink's thread

    def handle(self, event: Event) -> None:
        match event:
            case ProbeFinished():
                self._add_result(event)
            case TargetHung():
                hung = TransitionRow.of(
                    event.target, event.transition, "timeout", "the validation still hangs"
                )
                self._add(transitions=[hung], touched=event.target)
            case TargetStale():
                gone = TransitionRow(
                    event.target,
                    self._clock(),
                    HealthStatus.UNKNOWN,
                    HealthStatus.UNKNOWN,
                    0.0,
                    None,
                    f"no probe could run for {event.silent:.0f} s",
                )
                self._add(transitions=[gone], touched=event.target)
            case IncidentChanged():
                with self._lock:
                    self._buffer.incidents[event.incident.id] = event.incident
            case DeclarationsChanged():
                with self._lock:
                    self._buffer.declared = event.declared

    def _add_result(self, event: ProbeFinished) -> None:
        result, made = event.result, event.transition
        error = None if result.error_type is None else result.error_type.value
        status = HealthStatus.of(result.status)
        snapshot = self._state.targets.get(result.target)
        row = ResultRow(
            result.target,
            result.finished_at,
            int(status),
            result.duration,
            error,
            snapshot is not None and snapshot.maintenance is not None,
        )
        changed = [] if made is None else [TransitionRow.of(result.target, made, error, result.message)]
        self._add([row], changed, result.target)

    def _add(
        self,
        results: list[ResultRow] | None = None,
        transitions: list[TransitionRow] | None = None,
        touched: str = "",
    ) -> None:
        with self._lock:
            if len(self._buffer) >= BUFFERED:
                self._dropped(self.name, len(results or ()) + len(transitions or ()))
                return
            self._buffer.results += results or ()
            self._buffer.transitions += transitions or ()
            self._buffer.touched.add(touched)

    # ------------------------------------------------------------ the writer's thread

    def _run(self) -> None:
        try:
            while True:
                self._turn()
                if self._closing.wait(self._pause):
                    self._turn()
                    return
        finally:
            if not self.saved_state.done():
                self.saved_state.set_result(SavedState({}, []))
            self._dropped(self.name, len(self._waiting))
            if self._store is not None:
                with suppress(Exception):
                    self._store.release()

    def _turn(self) -> None:
        """Write what has come; whatever goes wrong is told and tried again."""
        self._take()
        try:
            self._work()
        except HistoryCorruptError as error:
            self._begin_anew(str(error))
        except HistoryUnavailableError as error:
            self._fail(str(error))
        except DBAPIError as error:
            self._fail_by(error)
        except Exception as error:  # a fault of ours must not end the thread
            self._fail(f"unexpected {type(error).__name__}")
            log.debug("the history failed", exc_info=error)
        else:
            self._recovered()

    def _work(self) -> None:
        store = self._opened()
        if store.file is not None and not self._checked:
            store.file.check()
            self._checked = True
        if len(self._waiting):
            store.write(self._waiting, self._states(self._waiting.touched))
            self._waiting = Batch()
        now = time.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._looked_at = now
            if store.file is not None:
                if not store.file.is_still_there():
                    raise HistoryUnavailableError(
                        f"{store.file.path}: was deleted or replaced while it was written; a new one is begun"
                    )
                store.file.restore_ballast()
        if now - self._expired_at >= EXPIRE_SECONDS and not self._closing.is_set():
            store.rollups.finish_days(self._clock())
            retention.expire(store.connection, self._settings, self._clock())
            self._expired_at = now  # not before: what fails is tried again at the next turn

    def _opened(self) -> HistoryStore:
        if self._store is None:
            assert self._settings.url is not None  # noqa: S101 - there is no recorder without one
            self._store = HistoryStore(resolve(self._settings.url, self._environ), self._monitor)
        if not self._store.is_open:
            self._store.open()
            if not self.saved_state.done():
                self.saved_state.set_result(SavedState(*self._store.saved_state()))
        return self._store

    def _take(self) -> None:
        with self._lock:
            taken, self._buffer = self._buffer, Batch()
        self._note_clock(taken)
        self._waiting.join(taken)
        self._dropped(self.name, self._waiting.shorten(BUFFERED))

    def _note_clock(self, taken: Batch) -> None:
        if not taken.results:
            return
        back = self._newest - max(row.at for row in taken.results)
        self._newest -= back
        if back > CLOCK_STEP:
            log.warning("the clock was set back by %.0f s: results of that time are there twice", back)

    def _states(self, touched: set[str]) -> States:
        """Of targets that are still configured, as they are now."""
        found: States = {}
        for name in touched:
            snapshot = self._state.targets.get(name)
            if snapshot is not None and snapshot.last is not None:
                found[name] = SavedTarget(
                    snapshot.target.fingerprint,
                    snapshot.health,
                    snapshot.last.finished_at,
                    snapshot.last_success_at,
                )
        return found

    # ------------------------------------------------------------ what goes wrong

    def _fail_by(self, error: DBAPIError) -> None:
        store = self._store
        if is_corrupt(error.orig):
            self._begin_anew(self._describe(error))
            return
        self._fail(
            f"{'' if store is None or store.file is None else f'{store.file.path}: '}{self._describe(error)}"
        )
        if store is not None and store.file is not None and is_full(error.orig):
            self._make_room(store)

    def _describe(self, error: DBAPIError) -> str:
        password = None if self._store is None else self._store.url.password
        text = describe(error)
        return text.replace(str(password), "***") if password else text

    def _make_room(self, store: HistoryStore) -> None:
        """A full disk: deleting takes room itself, which the ballast has kept."""
        assert store.file is not None  # noqa: S101 - the caller has looked
        store.file.give_up_ballast()
        try:
            store.open()
            if retention.free_some(store.connection):
                self._pause = FLUSH_SECONDS
        except (DBAPIError, HistoryUnavailableError):
            store.close()

    def _begin_anew(self, found: str) -> None:
        """What is damaged is kept under another name, and a new history begun."""
        store = self._store
        if store is None or store.file is None:
            self._fail(found)
            return
        store.close()
        self._checked = False
        try:
            aside = store.file.set_aside()
        except OSError as error:
            self._fail(f"{found}; it cannot be renamed: {error.strerror}")
            return
        self._fail(f"{found}; it is kept as {aside.name}, and a new one is begun")
        self._pause = FLUSH_SECONDS

    def _fail(self, why: str) -> None:
        if self._store is not None:
            self._store.close()
        if not self.saved_state.done():
            self.saved_state.set_result(SavedState({}, []))
        if not self._reported:
            log.warning("the history is not written: %s", why)
        self._reported = self._state.history_problem = why
        self._pause = min(self._pause * 2, RETRY_SECONDS)

    def _recovered(self) -> None:
        self._pause = FLUSH_SECONDS
        if self._reported:
            log.warning("the history is written again")
            self._reported = self._state.history_problem = ""
