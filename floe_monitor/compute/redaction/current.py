"""Whose secrets the code that runs at this moment may know."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute.redaction.redactor import Redactor

_current: ContextVar[Redactor | None] = ContextVar("redactor", default=None)


@contextmanager
def knowing_secrets_of(redactor: Redactor) -> Iterator[None]:
    """What runs inside is a plugin's code, which was given the secrets that `redactor` masks."""
    token = _current.set(redactor)
    try:
        yield
    finally:
        _current.reset(token)


def current_redactor() -> Redactor | None:
    """Of the target whose plugin's code runs here; None elsewhere, and in a thread that a driver started."""
    return _current.get()
