"""Garbage collections put off while a command starts.

What it imports stays, and looking through that again and again took an eighth of `check`.
"""

from __future__ import annotations

import gc

PUT_OFF = 200_000
"""New objects before one begins, for CPython's 700. Importing makes that many."""

_USUAL = gc.get_threshold()


def put_off() -> None:
    gc.set_threshold(PUT_OFF)


def resume() -> None:
    """From here on as the interpreter does by itself, and not among what there is already.

    Before anything is probed: what a driver leaves in cycles may hold descriptors. Nothing where none was put
    off.
    """
    if gc.get_threshold()[0] == PUT_OFF:
        gc.freeze()
        gc.set_threshold(*_USUAL)
