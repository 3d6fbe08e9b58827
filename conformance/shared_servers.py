"""Servers that an engine's cases share: started for the first that asks, ended with this process."""

from __future__ import annotations

import atexit
import tempfile
import threading
from contextlib import ExitStack
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

P = ParamSpec("P")
R = TypeVar("R")

_open = ExitStack()
atexit.register(_open.close)


def started_once(start: Callable[P, R]) -> Callable[P, R]:
    """Whoever asks while it starts, in another thread, waits for the same one. A failure is tried again."""
    found, starting = cache(start), threading.RLock()

    @wraps(start)
    def get(*args: P.args, **kwargs: P.kwargs) -> R:
        with starting:
            return found(*args, **kwargs)  # type: ignore[arg-type]  # hashable ones, as `cache` wants them

    return get


def kept_open(server: AbstractContextManager[R]) -> R:
    """Enter it now, and leave it when this process ends, the last one first."""
    return _open.enter_context(server)


def kept_folder(name: str) -> Path:
    """A new directory, removed when this process ends."""
    return Path(
        kept_open(tempfile.TemporaryDirectory(prefix=f"floe-monitor-{name}-", ignore_cleanup_errors=True))
    )
