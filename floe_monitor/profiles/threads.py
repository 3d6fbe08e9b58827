"""Threads that may hang without anybody else noticing: one for file work, one for watching directories."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import watchfiles

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

T = TypeVar("T")

_STEP_MS = 200


class JobThread:
    """One daemon thread that does one job after another. A job that never ends holds up only the next."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[], T]) -> Future[T]:
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the job gets it
                future.set_exception(error)

        self._jobs.put(run)
        return future

    def close(self) -> None:
        """End after the jobs submitted so far, without waiting for them."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


class DirectoryWatch:
    """Calls `notify`, from a thread of its own, soon after one of `paths` changes in its directory.

    It may end by itself: a directory vanishes, the system is out of watches. Polling is what must not fail.
    """

    def __init__(self, name: str, paths: Collection[Path], notify: Callable[[], None]) -> None:
        self.paths = frozenset(paths)
        self._notify = notify
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.set()

    def _work(self) -> None:
        names = {path.name for path in self.paths}
        try:
            for changes in watchfiles.watch(
                *{path.parent for path in self.paths},
                watch_filter=lambda _, changed: changed.rsplit("/", 1)[-1] in names,
                debounce=_STEP_MS,
                step=_STEP_MS,
                rust_timeout=1000,
                stop_event=self._stop,
                raise_interrupt=False,
                recursive=False,
                ignore_permission_denied=True,
            ):
                if self._stop.is_set():
                    return
                if changes:
                    self._notify()
        except (OSError, RuntimeError):
            return
