"""Errors a plugin may raise; each carries the error type under which it is counted."""

from __future__ import annotations

import errno
import os
from typing import ClassVar

from floe_monitor.compute.models import ErrorType


class ComputeError(Exception):
    """A compute operation failed. `correlation_id` links it to the probe's log line, span and result."""

    error_type: ClassVar[ErrorType] = ErrorType.QUERY

    def __init__(self, message: str, correlation_id: str | None = None) -> None:
        super().__init__(message)
        self.correlation_id = correlation_id


class ComputeConnectionError(ComputeError):
    """The compute target could not be reached."""

    error_type = ErrorType.CONNECTION


class ComputeTimeoutError(ComputeError):
    """An operation exceeded its time."""

    error_type = ErrorType.TIMEOUT


class ComputeConfigurationError(ComputeError):
    """The configuration cannot work."""

    error_type = ErrorType.CONFIGURATION


class MonitorResourceError(ComputeError):
    """The monitor itself has no more threads, memory or descriptors: nothing is known of the target.

    A validation that raises it gives no result: the tick is skipped and counted.
    """

    error_type = ErrorType.PLUGIN


_SHORT_OF = {
    errno.EMFILE: "file descriptors (the limit of this process)",
    errno.ENFILE: "file descriptors (the limit of this machine)",
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory for sockets",
}
_LINKS = 10
"""Exceptions of a chain that are looked at: libraries wrap the system's a few times."""


def resource_error_in(error: BaseException) -> MonitorResourceError | None:
    """What `error`, or what caused it, says of a shortage of the monitor itself; None for anything else."""
    current: BaseException | None = error
    for _ in range(_LINKS):
        if current is None:
            return None
        if isinstance(current, MonitorResourceError):
            return current
        if isinstance(current, MemoryError):
            return MonitorResourceError("the monitor has no more memory")
        if isinstance(current, OSError) and current.errno in _SHORT_OF:
            return MonitorResourceError(f"the monitor has no more {_SHORT_OF[current.errno]}")
        if type(current) is RuntimeError and "can't start new thread" in str(current):
            return MonitorResourceError("the monitor can start no more threads")
        current = current.__cause__ or current.__context__
    return None


def resource_error_in_text(text: str) -> MonitorResourceError | None:
    """The same of a library that repeats the system's words, at the end of its own, and drops the number."""
    code = next((code for code in _SHORT_OF if text.endswith(os.strerror(code))), None)
    return None if code is None else resource_error_in(OSError(code, text))
