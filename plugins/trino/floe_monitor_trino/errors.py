"""What can go wrong on the way to Trino, and the one place where it gets the contract's names."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ErrorType, Failure
from floe_monitor.compute.toolkit import http_status
from floe_monitor.compute.toolkit.responses import protocol_errors_as

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

_LONGEST = 500
_LOOKED_THROUGH = 65536
_DENIED = re.compile(rb"(?:^|\W)AccessDeniedException: ([^\r\n]{1,500})")


class TrinoError(Exception):
    """The coordinator could not be used. Connections have the toolkit's own errors."""


class UnexpectedAnswerError(TrinoError):
    """An answer came, but not in the protocol that was expected, or it is too long."""


class UnfinishedError(TrinoError):
    """The coordinator answers, and what it says is that the statement still runs."""

    def __init__(self, state: str) -> None:
        super().__init__(f"no answer in time: the statement is in state {state}")


class WaitingError(TrinoError):
    """The coordinator answers, and what it says is that the statement has not begun."""


class PlainTextError(TrinoError):
    """The coordinator's answer leads from HTTPS to HTTP: what proves who asks would go there in the clear."""

    def __init__(self, site: str) -> None:
        super().__init__(
            f"the coordinator's answers lead to {site}: it does not know that TLS ends before it "
            "(http-server.process-forwarded). dbt sends its login there in the clear; a probe does not"
        )


class HttpStatusError(TrinoError):
    """An HTTP answer other than 200, of the coordinator's or of what stands before it."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status = answer.status
        denied = _DENIED.search(answer.body[:_LOOKED_THROUGH]) if answer.status == 500 else None
        self.denied = denied is not None
        """Whether Trino's access control refused what the session asks for: that answer has no JSON."""
        if denied is not None:
            text = f": {one_line(denied[1].decode(errors='replace'))}"
        elif answer.moved_to is not None:
            text = f", a redirect to {answer.moved_to}"
        else:
            text = f": {said}" if (said := _plain_text_line(answer)) else f" {answer.reason}".rstrip()
        super().__init__(f"the server answers {answer.status}{text}")


class QueryError(TrinoError):
    """Trino's own word on a statement: `name` and `kind` are its errorName and errorType."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.name = str(error.get("errorName") or "")[:100]
        self.kind = str(error.get("errorType") or "")[:100]
        message = one_line(str(error.get("message") or "no message"))
        super().__init__(f"{message} ({self.name})" if self.name else message)


_STARTING = frozenset({"SERVER_STARTING_UP", "SERVER_SHUTTING_DOWN"})
_BUSY = "INSUFFICIENT_RESOURCES"
_BY_NAME = {
    "PERMISSION_DENIED": ErrorType.PERMISSION,
    "EXCEEDED_TIME_LIMIT": ErrorType.TIMEOUT,
    "ADMINISTRATIVELY_KILLED": ErrorType.QUERY,
    "USER_CANCELED": ErrorType.QUERY,
}
_BY_TYPE = {
    "USER_ERROR": ErrorType.CONFIGURATION,  # only configured names and settings can be wrong in a probe's
    "EXTERNAL": ErrorType.CATALOG,  # what lies behind a connector
}
_NOT_NOW = frozenset({429, 503})


translated = partial(protocol_errors_as, UnexpectedAnswerError)
"""For what is read of a server: another kind of server answers."""


def classify(error: Exception) -> Failure:
    message = str(error)
    if isinstance(error, QueryError):
        by_type = _BY_TYPE.get(error.kind, ErrorType.QUERY)
        return Failure(_BY_NAME.get(error.name, by_type), message)
    if isinstance(error, HttpStatusError):
        return Failure(_of_status(error), message)
    if isinstance(error, UnexpectedAnswerError):
        return Failure(ErrorType.CONFIGURATION, message)
    if isinstance(error, UnfinishedError | WaitingError):
        return Failure(ErrorType.TIMEOUT, message)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def limitation(error: Exception) -> Failure | None:
    """What it comes to where the coordinator answers and dbt works with a limitation, or not at this moment:
    it starts or ends, has no room, waits for workers. None for any other error."""
    if isinstance(error, PlainTextError):
        return Failure(ErrorType.CONFIGURATION, str(error))
    if isinstance(error, WaitingError):
        return Failure(ErrorType.TIMEOUT, str(error))
    if isinstance(error, QueryError) and error.name in _STARTING:
        return Failure(ErrorType.CONNECTION, f"the coordinator is starting or ending: {error}")
    if isinstance(error, QueryError) and error.kind == _BUSY:
        return Failure(ErrorType.QUERY, f"the cluster takes no query now: {error}")
    if isinstance(error, HttpStatusError) and error.status in _NOT_NOW:
        text = "the coordinator starts, or what stands before it has none; dbt tries again"
        return Failure(ErrorType.CONNECTION, f"{error}: {text}")
    return None


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _of_status(error: HttpStatusError) -> ErrorType:
    if error.denied:
        return ErrorType.PERMISSION
    return http_status.error_type_of(error.status)


def _plain_text_line(answer: HttpAnswer) -> str:
    """A plain text's first line, as Trino gives one; not the page of a proxy."""
    if not answer.headers.get("content-type", "").startswith("text/plain"):
        return ""
    lines = answer.body[:_LOOKED_THROUGH].decode(errors="replace").strip().splitlines()
    return one_line(lines[0]) if lines else ""
