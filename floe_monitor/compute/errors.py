"""Errors a plugin may raise; each carries the error type under which it is counted."""

from __future__ import annotations

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
