"""Descriptors that no forked copy of the process may keep.

A plugin that forks leaves a child that has everything open that the daemon has: the port is in use and the
profile's lock held for as long as the child lives. What is exec'd has none of it: Python's descriptors are
closed then.
"""

from __future__ import annotations

import os
from contextlib import suppress

_own: set[int] = set()
_hooked = False


def close_in_child(descriptor: int) -> None:
    """From now on `os.fork`, in whatever thread, leaves the child without this one."""
    global _hooked  # noqa: PLW0603 - hooks cannot be taken back: one serves the process
    if not _hooked:
        os.register_at_fork(after_in_child=_close_all)
        _hooked = True
    _own.add(descriptor)


def release(descriptor: int) -> None:
    """Before it is closed: its number may be somebody else's next."""
    _own.discard(descriptor)


def _close_all() -> None:
    for descriptor in _own:
        with suppress(OSError):
            os.close(descriptor)
    _own.clear()
