"""What a plugin raised, as one of the contract's error types and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute.adapt import describe_error
from floe_monitor.compute.errors import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeTimeoutError,
)
from floe_monitor.compute.models import ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable

_BY_CLASS_NAME = {
    # Upstream's plugins raise classes of their own under the seed's names.
    ComputeConnectionError.__name__: ErrorType.CONNECTION,
    ComputeTimeoutError.__name__: ErrorType.TIMEOUT,
    ComputeConfigurationError.__name__: ErrorType.CONFIGURATION,
    TimeoutError.__name__: ErrorType.TIMEOUT,
    ConnectionError.__name__: ErrorType.CONNECTION,
}


def error_type_of(error: BaseException) -> ErrorType:
    """The error's own type where it names one, else by its class; `plugin` for what nobody foresaw."""
    own = getattr(type(error), "error_type", None)
    if isinstance(own, ErrorType):
        return own
    for ancestor in type(error).__mro__:
        known = _BY_CLASS_NAME.get(ancestor.__name__)
        if known is not None:
            return known
    return ErrorType.PLUGIN


def told(error: BaseException, distribution: str | None, redact: Callable[[str], str] | None = None) -> str:
    """Its class and text; of a driver that is not there, what to install."""
    if isinstance(error, ModuleNotFoundError) and error.name and distribution:
        return f"module {error.name} is not installed: install {distribution} with its dependencies"
    return describe_error(error, redact)
