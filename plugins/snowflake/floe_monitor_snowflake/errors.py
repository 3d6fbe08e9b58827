"""The driver's errors in the contract's words, by Snowflake's error numbers, SQLSTATE and HTTP status."""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, NamedTuple

from floe_monitor.compute import ErrorType, Failure, resource_error_in

if TYPE_CHECKING:
    from floe_monitor.compute import MonitorResourceError

ROLE_NUMBERS = frozenset({390186, 390189})
"""The login itself had passed: the role is not there or not the user's."""
_BY_NUMBER = {
    **dict.fromkeys(ROLE_NUMBERS, ErrorType.PERMISSION),
    # Does not exist, or not for this role: Snowflake does not say which.
    **dict.fromkeys((2003, 2043, 390201), ErrorType.PERMISSION),
    14: ErrorType.TIMEOUT,  # the driver's own
    3001: ErrorType.PERMISSION,  # insufficient privileges
    604: ErrorType.TIMEOUT,  # statement cancelled
    630: ErrorType.TIMEOUT,  # statement timeout
    606: ErrorType.CONFIGURATION,  # no active warehouse
    90105: ErrorType.CONFIGURATION,  # no current database
    90073: ErrorType.PERMISSION,  # resource monitor's quota is used up
    390420: ErrorType.PERMISSION,  # network policy
    390422: ErrorType.PERMISSION,  # address not allowed by a network policy
    390432: ErrorType.PERMISSION,  # a network policy is required for the token
}
_AUTHENTICATION = (range(390100, 390200), range(390300, 390420), range(394000, 395000))
_BY_CLASS = {
    "08": ErrorType.CONNECTION,
    "28": ErrorType.AUTHENTICATION,
    "HY": ErrorType.TIMEOUT,  # HYT00, HYT01: the driver's own timeouts
}
_STATUS = re.compile(r"status:? (\d{3})\b")
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How the driver's native part words an error of the operating system; it keeps no number of it apart."""
_OF_THE_DRIVER = range(250000, 260000)


class Description(NamedTuple):
    """What an exception of the driver carries; None where it has no such number."""

    number: int | None
    sqlstate: str
    message: str


def describe(error: Exception) -> Description:
    number = getattr(error, "errno", None)
    raw = getattr(error, "raw_msg", None)
    message = str(raw or error)
    message = re.sub(r"^Failed to login: |, code: \d+$", "", message)
    message = re.sub(r"^Login error: ", "", message)
    return Description(
        number if isinstance(number, int) and number >= 0 else None,
        str(getattr(error, "sqlstate", None) or ""),
        " ".join(message.split()),
    )


def shortage_in(error: Exception) -> MonitorResourceError | None:
    """Where the driver says that this process has no more descriptors or memory: nothing of the account."""
    found = _OS_ERROR.search(str(error))
    return None if found is None else resource_error_in(OSError(int(found[1]), ""))


def classify(error: Exception) -> Failure:
    if isinstance(error, OSError):
        return _of_the_system(error)
    number, sqlstate, message = describe(error)
    if number in _OF_THE_DRIVER:
        return _without_number(message)
    if number is None:
        kind = _BY_CLASS.get(sqlstate[:2], ErrorType.QUERY)
        return Failure(kind, message if sqlstate else f"{type(error).__name__}: {message}")
    kind = _BY_NUMBER.get(number) or _BY_CLASS.get(sqlstate[:2], ErrorType.QUERY)
    if number not in _BY_NUMBER and any(number in numbers for numbers in _AUTHENTICATION):
        kind = ErrorType.AUTHENTICATION
    return Failure(kind, f"{message} ({number:06d})")


def _of_the_system(error: OSError) -> Failure:
    if isinstance(error, ssl.SSLError):
        return Failure(ErrorType.CONNECTION, f"no TLS with this server: {error.reason or error}")
    if isinstance(error, TimeoutError):
        return Failure(ErrorType.TIMEOUT, "no answer in time")
    return Failure(ErrorType.CONNECTION, error.strerror or type(error).__name__)


def _without_number(message: str) -> Failure:
    """Snowflake itself did not answer, or not as Snowflake does: the HTTP status is all there is."""
    status = _STATUS.search(message)
    if status is None:
        kind = ErrorType.TIMEOUT if "timed out" in message else ErrorType.CONNECTION
        return Failure(kind, message)
    if status[1] == "404":
        return Failure(
            ErrorType.CONFIGURATION, f"no Snowflake account answers at this host (HTTP 404): {message}"
        )
    if status[1] == "403":
        return Failure(
            ErrorType.PERMISSION,
            f"the server refuses us (HTTP 403; a wrong account, or a network rule): {message}",
        )
    if status[1] == "407":
        return Failure(ErrorType.AUTHENTICATION, f"the proxy wants a login (HTTP 407): {message}")
    return Failure(ErrorType.CONNECTION, f"HTTP {status[1]}: {message}")
