"""How long a thread that computes may keep the event loop waiting for the interpreter's lock."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 0.001
"""CPython's own are five times as many. Probes hand the lock on thousands of times a second, and where scrapes
and exports of ten thousand targets compute beside them each turn costs this much: ticks were 50 ms late."""


@contextmanager
def quick_thread_switches() -> Iterator[None]:
    """Until the block ends. For the whole process."""
    former = sys.getswitchinterval()
    sys.setswitchinterval(SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(former)
