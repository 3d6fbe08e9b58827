"""Seeing what a plugin does to the world, by the interpreter's own audit events."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_events: Collection[str] = ()
_thread: int | None = None
_seen: set[str] = set()


@contextmanager
def watching(events: Collection[str], *, this_thread_only: bool) -> Iterator[set[str]]:
    """The set fills with the names of those `events` that happen meanwhile. Not reentrant."""
    global _events, _thread, _seen  # noqa: PLW0603 - there is one audit hook in a process, and it stays
    _install()
    seen: set[str] = set()
    _seen = seen
    _thread = threading.get_ident() if this_thread_only else None
    _events = events
    try:
        yield seen
    finally:
        _events = ()


@cache
def _install() -> None:
    sys.addaudithook(_look)


def _look(event: str, _: object) -> None:
    if event in _events and (_thread is None or _thread == threading.get_ident()):
        _seen.add(event)
