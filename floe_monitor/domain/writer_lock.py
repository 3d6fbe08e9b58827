"""Which process writes a file: the one with a lock on another beside it, which no forked child keeps."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from floe_monitor.domain.forked_child import close_in_child, release

if TYPE_CHECKING:
    from pathlib import Path


class WriterLock:
    """Of `path`, by `path.lock`. Ends with the process at the latest."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}.lock")
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether this process has it now, and no other. `OSError` where nothing can be written there."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(descriptor)
            return False
        except OSError:
            os.close(descriptor)
            raise
        close_in_child(descriptor)
        self._descriptor = descriptor
        return True

    def give_up(self) -> None:
        if self._descriptor is not None:
            release(self._descriptor)
            # A child that was forked a moment ago, and closes its copy soon, would keep the lock until then.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = None
