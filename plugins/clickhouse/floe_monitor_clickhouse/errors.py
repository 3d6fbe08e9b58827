"""What can go wrong on the way to ClickHouse, and the one place where it gets the contract's names."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, Failure
from floe_monitor.compute.toolkit import http_status
from floe_monitor.compute.toolkit.responses import protocol_errors_as

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

_LONGEST = 500
_LOOKED_THROUGH = 65536
_CODED = re.compile(
    r"Code: (\d{1,5})[.,]\s*(?:e\.displayText\(\) = )?(?:(?:DB|Coordination)::\w+: )?(.*)", re.DOTALL
)
_TRAILING = re.compile(r"(?:,? ?Stack trace|, e\.what\(\)).*", re.DOTALL)

UNKNOWN_IDENTIFIER = 47
UNKNOWN_TABLE = 60
SYNTAX_ERROR = 62
ACCESS_DENIED = 497
_AUTHENTICATION = (192, 193, 194, 195, 516)
"""The first four of servers before 20.4, which told an unknown user from a wrong password."""
_PERMISSION = (164, 201, 291, 392, 452, 497)
"""Read-only, quota, database not allowed (old), statements prohibited, constraint of a setting, no grant."""
_CONFIGURATION = (
    6, 27, 36, 46, 47, 60, 62, 72, 81, 115, 170, 191, 248, 255, 336, 344, 511, 512, 701,
)  # fmt: skip
"""Names and settings of the configuration that the server does not know, or a server that does not know what
dbt asks of any."""
_CONNECTION = (198, 209, 210, 279, 519)
"""Of servers behind this one: replicas of a cluster."""
_TIMEOUT = (159, 160)
_KEEPER = frozenset({139, 225, 242, 999})
_BUSY = {
    202: "it takes no more queries at once",
    241: "it has no memory left for queries",
    236: "it is shutting down",
    394: "the query was cancelled",
}
_BY_CODE = {
    **dict.fromkeys(_AUTHENTICATION, ErrorType.AUTHENTICATION),
    **dict.fromkeys(_PERMISSION, ErrorType.PERMISSION),
    **dict.fromkeys(_CONFIGURATION, ErrorType.CONFIGURATION),
    **dict.fromkeys(_CONNECTION, ErrorType.CONNECTION),
    **dict.fromkeys(_KEEPER, ErrorType.CONNECTION),
    **dict.fromkeys(_TIMEOUT, ErrorType.TIMEOUT),
}
_NOT_NOW = frozenset({429, 503})


class ClickHouseError(Exception):
    """The server could not be used. Connections have the toolkit's own errors."""


class UnexpectedAnswerError(ClickHouseError):
    """An answer came, but not in the protocol that was expected, or it is too long."""


class SettingError(ClickHouseError):
    """dbt's driver would refuse a setting before it asks the server."""


class HttpStatusError(ClickHouseError):
    """An HTTP answer that is none of ClickHouse's errors: of what stands before it, or of another port."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status = answer.status
        said = one_line(answer.body[:_LOOKED_THROUGH].decode(errors="replace"))
        is_page = said.startswith("<") or "html" in answer.headers.get("content-type", "")
        text = f": {said}" if said and not is_page else f" {answer.reason}".rstrip()
        super().__init__(f"the server answers {answer.status}{text}")


class ServerError(ClickHouseError):
    """ClickHouse's own word on a statement or a login; `code` is its error code."""

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        super().__init__(f"{one_line(_TRAILING.sub('', message))} (code {code})")


def coded_error(text: str, code: str | None) -> ServerError | None:
    """ClickHouse's error in an HTTP answer; `code` is its header's. None for the words of anything else."""
    found = _CODED.match(text.lstrip())
    if found is None and not (code or "").isdecimal():
        return None
    number = int(code) if code is not None and code.isdecimal() else int(found[1]) if found else 0
    return ServerError(number, found[2] if found else text)


translated = partial(protocol_errors_as, UnexpectedAnswerError)
"""For what is read of a server: another kind of server answers."""


def classify(error: Exception) -> Failure:
    message = str(error)
    if isinstance(error, ServerError):
        return Failure(_BY_CODE.get(error.code, ErrorType.QUERY), message)
    if isinstance(error, HttpStatusError):
        return Failure(http_status.error_type_of(error.status), message)
    if isinstance(error, UnexpectedAnswerError):
        return Failure(ErrorType.CONFIGURATION, message)
    if isinstance(error, SettingError):
        return Failure(ErrorType.PERMISSION, message)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def limitation(error: Exception) -> Failure | None:
    """What it comes to where the server, or what stands before it, answers that it cannot at this moment.

    None for any other error."""
    if isinstance(error, ServerError) and error.code in _BUSY:
        return Failure(ErrorType.QUERY, f"the server answers, but {_BUSY[error.code]}: {error}")
    if isinstance(error, HttpStatusError) and error.status in _NOT_NOW:
        text = "the server starts, or what stands before it has none; dbt tries again"
        return Failure(ErrorType.CONNECTION, f"{error}: {text}")
    return None


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
