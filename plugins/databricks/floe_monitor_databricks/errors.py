"""What can go wrong on the way to a workspace, and the one place where it gets the contract's names."""

from __future__ import annotations

import re
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, Failure
from floe_monitor.compute.toolkit.responses import json_object, protocol_errors_as

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.http_connection import HttpAnswer

_LONGEST = 500
_OF_THE_TOKEN = re.compile(
    r"(invalid|expired|malformed|revoked|unknown)\W+(\w+\W+){0,3}token"
    r"|token\W+(\w+\W+){0,3}(invalid|expired|malformed|revoked)",
    re.IGNORECASE,
)
"""What a workspace says of a token that it does not take: with 403, as of a right that is missing."""
_BY_STATUS = {
    401: ErrorType.AUTHENTICATION,
    403: ErrorType.PERMISSION,
    407: ErrorType.CONFIGURATION,
    408: ErrorType.TIMEOUT,
    504: ErrorType.TIMEOUT,
}
_NOT_NOW = frozenset({429, 503})
_MISSING = frozenset({"RESOURCE_DOES_NOT_EXIST", "NOT_FOUND"})


class DatabricksError(Exception):
    """The workspace could not be used. Connections have the toolkit's own errors."""


class UnexpectedAnswerError(DatabricksError):
    """An answer came, but none of the API that was asked, or it is too long."""


class LoginRefusedError(DatabricksError):
    """The login cannot be had, or is refused by who gives tokens."""


class StatementError(DatabricksError):
    """What the warehouse says of a statement that it did not run."""


class ApiError(DatabricksError):
    """An HTTP answer that is no success, in the API's words where it has some."""

    def __init__(self, answer: HttpAnswer, place: str) -> None:
        self.status = answer.status
        found = json_object(answer.body)
        self.code = one_line(str(found.get("error_code") or found.get("error") or ""))[:100]
        self.said = one_line(str(found.get("message") or found.get("error_description") or ""))
        self.moved_to = answer.moved_to
        self.retry_after = one_line(answer.headers.get("retry-after", ""))[:20]
        if answer.moved_to is not None:
            text = f", a redirect to {answer.moved_to}"
        else:
            named = f" ({self.code})" if self.code and not self.code.isdecimal() else ""
            text = f": {self.said}{named}" if self.said else f" {answer.reason}".rstrip() + named
        super().__init__(f"{place} answers {answer.status}{text}")

    @property
    def is_of_the_token(self) -> bool:
        return self.status == 401 or (self.status == 403 and bool(_OF_THE_TOKEN.search(self.said)))

    @property
    def is_missing(self) -> bool:
        """Whether it says that there is no such thing. The clusters API says so with status 400."""
        if self.status == 404:
            return True
        gone = "does not exist" in self.said
        return self.code in _MISSING or (
            self.status == 400 and self.code == "INVALID_PARAMETER_VALUE" and gone
        )


translated = partial(protocol_errors_as, UnexpectedAnswerError)
"""For what is read of a server: another kind of server answers."""


@contextmanager
def limited(check: Check) -> Iterator[None]:
    """An answer that means `not now` is a limitation, not a failure: dbt's driver tries again."""
    try:
        yield
    except ApiError as error:
        if error.status not in _NOT_NOW:
            raise
        when = f"; to be tried again after {error.retry_after} s" if error.retry_after.isdecimal() else ""
        what = "too many requests" if error.status == 429 else "the service is not to be had at this moment"
        check.degrade(f"{error}: {what}{when}", ErrorType.CONNECTION)


def classify(error: Exception) -> Failure:
    message = str(error)
    if isinstance(error, ApiError):
        return Failure(_of_answer(error), message)
    if isinstance(error, LoginRefusedError):
        return Failure(ErrorType.AUTHENTICATION, message)
    if isinstance(error, UnexpectedAnswerError):
        return Failure(ErrorType.CONFIGURATION, message)
    if isinstance(error, StatementError):
        return Failure(ErrorType.QUERY, message)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _of_answer(error: ApiError) -> ErrorType:
    if error.is_of_the_token:
        return ErrorType.AUTHENTICATION
    by_class = ErrorType.CONNECTION if error.status >= 500 else ErrorType.CONFIGURATION
    return _BY_STATUS.get(error.status, by_class)
