"""Watching files through their directories, in a thread that may hang alone."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import watchfiles

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.headroom import require_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

_STEP_MS = 200


class DirectoryWatch:
    """Calls `notify`, from a thread of its own, soon after one of `paths` changes in its directory.

    It may end by itself: a directory vanishes, the system is out of watches or the monitor of threads.
    Its user polls all the same.
    """

    def __init__(self, name: str, paths: Collection[Path], notify: Callable[[], None]) -> None:
        self.paths = frozenset(paths)
        self._notify = notify
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        # Watching starts threads in native code too, which aborts the process where it cannot.
        with suppress(MonitorResourceError, RuntimeError):
            require_threads()
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
