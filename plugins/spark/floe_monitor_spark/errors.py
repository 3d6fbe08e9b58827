"""What can go wrong on the way to Spark, and the one place where it gets the contract's names."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, Failure
from floe_monitor.compute.toolkit import http_status
from floe_monitor.compute.toolkit.bounded_socket import ProtocolError
from floe_monitor.compute.toolkit.proxies import ProxyError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class SparkError(Exception):
    """The server could not be used. Connections have the toolkit's own errors."""


class UnfinishedError(SparkError):
    """The server answers, and what it says is that the statement still runs."""

    def __init__(self) -> None:
        super().__init__("no answer in time while waiting for the statement to end")


class LoginRefusedError(SparkError):
    """The server refused the login."""


class UnexpectedAnswerError(SparkError):
    """An answer came, but not in the protocol that was expected, or it is too long."""


class HttpStatusError(SparkError):
    """An HTTP answer other than 200, of the server's or of what stands before it."""

    def __init__(self, message: str, status: int, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        """Databricks' own, where the answer has one."""


class ServerError(SparkError):
    """Spark's own word: a Thrift status, or the end of an operation, with an error."""

    def __init__(self, message: str, sqlstate: str | None, information: Sequence[str] = ()) -> None:
        text, self.condition = summary(message[:_SUMMED_UP])
        super().__init__(text if sqlstate is None or sqlstate in text else f"{text} (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate or ""
        self.java_classes = frozenset(
            _JAVA_ERROR.findall("\n".join((message, *information))[:_LOOKED_THROUGH])
        )


_SUMMED_UP, _LOOKED_THROUGH = 65536, 262144
"""Characters of a message that are looked at for its first sentence, and for Java's exceptions: a search
holds the lock of the interpreter."""
# Looks at each word once.
_JAVA_ERROR = re.compile(r"(?<![\w$.])(?:[a-z][\w$]*\.)+([A-Z][\w$]*(?:Exception|Error))\b")
_WRAPPING = re.compile(
    r"^(?:Error (?:running|operating) \w+: |(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error): ?)"
)
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*)\]")
_BY_SQLSTATE = {
    "42501": ErrorType.PERMISSION,
    "0L000": ErrorType.PERMISSION,
    "57014": ErrorType.TIMEOUT,
    "57KD0": ErrorType.CONNECTION,
    "HYT00": ErrorType.TIMEOUT,
}
_BY_CLASS = {
    "08": ErrorType.CONNECTION,
    "28": ErrorType.AUTHENTICATION,
    "42": ErrorType.CONFIGURATION,  # only configured names and settings can be wrong in what a probe sends
    "3D": ErrorType.CONFIGURATION,
    "3F": ErrorType.CONFIGURATION,
    "53": ErrorType.CONNECTION,
    "57": ErrorType.CONNECTION,
    "58": ErrorType.CONNECTION,
}
_DENIALS = frozenset(
    {
        "AccessControlException",
        "HiveAccessControlException",
        "AuthorizationException",
        "AccessDeniedException",
        "UnauthorizedAccessException",
    }
)
"""What authorization plugins throw, which give no SQLSTATE."""
_BY_KIND = {
    UnfinishedError: ErrorType.TIMEOUT,
    LoginRefusedError: ErrorType.AUTHENTICATION,
    UnexpectedAnswerError: ErrorType.CONFIGURATION,
}


@contextmanager
def translated() -> Iterator[None]:
    """The toolkit's errors that mean more here than a broken connection: another kind of server answers."""
    try:
        yield
    except ProtocolError as error:
        raise UnexpectedAnswerError(str(error)) from error
    except ProxyError as error:
        raise HttpStatusError(str(error), error.status) from error


def classify(error: Exception) -> Failure:
    message = str(error)
    if isinstance(error, ServerError):
        return Failure(_of_server(error), message)
    if isinstance(error, HttpStatusError):
        return Failure(http_status.error_type_of(error.status), message)
    for kind, error_type in _BY_KIND.items():
        if isinstance(error, kind):
            return Failure(error_type, message)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def _of_server(error: ServerError) -> ErrorType:
    if error.java_classes & _DENIALS:
        return ErrorType.PERMISSION
    return _BY_SQLSTATE.get(error.sqlstate) or _BY_CLASS.get(error.sqlstate[:2], ErrorType.QUERY)


def summary(message: str) -> tuple[str, str | None]:
    """The first sentence of Spark's message, out of its wrappings and without stack trace; its condition."""
    text = message.split("\n\tat ", 1)[0].strip()
    while match := _WRAPPING.match(text):
        text = text[match.end() :].lstrip()
    found = _CONDITION.search(text)
    if found is not None:
        # Wrappings repeat the condition before each exception; the last one starts the message proper.
        text = text[text.rindex(found[0]) :]
    text = text.split("\n", 1)[0]
    return " ".join(text.split()) or "no message", found[1] if found else None


def one_line(error: Exception) -> str:
    """What an exception of Thrift's or Kerberos' says."""
    text = getattr(error, "message", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())
