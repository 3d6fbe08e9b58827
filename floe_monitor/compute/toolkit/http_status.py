"""What the status of an HTTP answer comes to, where the body says no more."""

from __future__ import annotations

from floe_monitor.compute.models import ErrorType

_BY_STATUS = {
    401: ErrorType.AUTHENTICATION,
    403: ErrorType.PERMISSION,
    407: ErrorType.CONFIGURATION,
    408: ErrorType.TIMEOUT,
    429: ErrorType.CONNECTION,
    504: ErrorType.TIMEOUT,
}


def error_type_of(status: int) -> ErrorType:
    """Of an error: what the server or what stands before it has is the connection's, any other the
    configuration's."""
    by_class = ErrorType.CONNECTION if status >= 500 else ErrorType.CONFIGURATION
    return _BY_STATUS.get(status, by_class)
