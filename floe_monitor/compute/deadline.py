"""The deadline of the validation under way, visible to the plugin that runs it.

A plugin passes what is left on to its driver's own timeouts, which is the first of the three bounds on a
probe. Outside a probe (a test, a notebook) there is no deadline and `remaining` answers its default.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_SECONDS = 5.0
"""What `remaining` answers where no deadline is set: the default `probe.timeout`."""
MARGIN = 0.05
"""Seconds, or share of the time if less, by which `with_margin` comes before the deadline."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on `time.monotonic`'s clock, in seconds."""

    expires_at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; 0.0 once passed, never negative."""
        return max(0.0, self.expires_at - time.monotonic())

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.expires_at

    def share(self, fraction: float) -> Deadline:
        """The moment at which that fraction of what is left now has passed."""
        return Deadline.after(self.remaining() * fraction)


_current: ContextVar[Deadline | None] = ContextVar("floe_monitor_deadline", default=None)


def current() -> Deadline | None:
    """The deadline of the validation this thread is running, if any."""
    return _current.get()


def remaining(default: float = DEFAULT_SECONDS) -> float:
    """Seconds left for the validation under way, or `default` outside one."""
    deadline = _current.get()
    return default if deadline is None else deadline.remaining()


def with_margin() -> Deadline:
    """The validation's deadline less a margin, so that the plugin itself reports what did not answer.

    For the waits of a validation: what the runner would say at the deadline itself knows only the check. The
    margin is of what is left when it is asked for: whoever compares with one moment keeps the answer.
    """
    limit = _current.get() or Deadline.after(DEFAULT_SECONDS)
    return Deadline(limit.expires_at - min(MARGIN, limit.remaining() * MARGIN))


@contextmanager
def running_until(deadline: Deadline) -> Iterator[Deadline]:
    """Make `deadline` the current one; for whoever calls a plugin, not for the plugin."""
    token = _current.set(deadline)
    try:
        yield deadline
    finally:
        _current.reset(token)
