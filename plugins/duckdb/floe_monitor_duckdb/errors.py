"""DuckDB's exceptions in the contract's words: the one place where they are mapped."""

from __future__ import annotations

import re

from floe_monitor.compute import ErrorType, Failure, resource_error_in_text

_MAX_CHARS = 300
_PATH = re.compile(r"""(?P<quote>["'])(?P<folder>(?:~|\.{0,2}/)[^"']*/)?(?P<name>[^"'/]*)(?P=quote)""")

_BY_TEXT: tuple[tuple[re.Pattern[str], ErrorType], ...] = (
    (
        re.compile(r"needs to be loaded|extension .* not found|could not be autoloaded", re.IGNORECASE),
        ErrorType.EXTENSION,
    ),
    (
        re.compile(
            r"Unauthorized_?401|\b401\b|invalid_client|Authentication|access token|Secret Validation Failure",
            re.IGNORECASE,
        ),
        ErrorType.AUTHENTICATION,
    ),
    (
        re.compile(r"Forbidden_?403|\b403\b|Permission denied|not authorized", re.IGNORECASE),
        ErrorType.PERMISSION,
    ),
    (re.compile(r"interrupted|timed? ?out", re.IGNORECASE), ErrorType.TIMEOUT),
    (re.compile(r"in region '[^']*' \(HTTP (301|400)"), ErrorType.CONFIGURATION),
)
_BY_CLASS = {
    "InvalidInputException": ErrorType.CONFIGURATION,
    "ParserException": ErrorType.CONFIGURATION,
    "SyntaxException": ErrorType.CONFIGURATION,
    "CatalogException": ErrorType.CONFIGURATION,
    "BinderException": ErrorType.CONFIGURATION,
    "NotImplementedException": ErrorType.CONFIGURATION,
    "ConversionException": ErrorType.CONFIGURATION,
    "OutOfRangeException": ErrorType.CONFIGURATION,
    "InvalidTypeException": ErrorType.CONFIGURATION,
    "PermissionException": ErrorType.PERMISSION,
    "InterruptException": ErrorType.TIMEOUT,
    "IOException": ErrorType.CONNECTION,
    "HTTPException": ErrorType.CONNECTION,
    "ConnectionException": ErrorType.CONNECTION,
}
"""By the class's name, so that no driver is imported to name its failure."""


_CANNOT_OPEN = re.compile(r'Cannot open file "[^"\n]*": ([^\n]*)')
"""DuckDB's words for a local file: it repeats the system's text and drops the number."""


class MissingExtensionError(Exception):
    """The extension is not here or does not load, and none is fetched."""


class ClassifiedError(Exception):
    """A failure that has its error type and its message already."""

    def __init__(self, error_type: ErrorType, message: str) -> None:
        super().__init__(message)
        self.failure = Failure(error_type, message)


def classify(error: Exception) -> Failure:
    """The error type and one line of text, without folders that only this machine knows.

    Raises `MonitorResourceError` where DuckDB failed for lack of what the monitor itself has run out of.
    """
    if isinstance(error, ClassifiedError):
        return error.failure
    text = str(error)
    if isinstance(error, MissingExtensionError):
        return Failure(ErrorType.EXTENSION, text)
    found = _CANNOT_OPEN.search(text)
    shortage = None if found is None else resource_error_in_text(found[1])
    if shortage is not None:
        raise shortage
    for pattern, error_type in _BY_TEXT:
        if pattern.search(text):
            return Failure(error_type, one_line(text))
    error_type = next(
        (_BY_CLASS[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _BY_CLASS),
        ErrorType.QUERY,
    )
    return Failure(error_type, one_line(text) or type(error).__name__)


def one_line(text: str) -> str:
    """The first line of a driver's message, with the next where it ends in a colon; quoted paths are cut down
    to their last part."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    short = _PATH.sub(lambda found: f"{found['quote']}{found['name']}{found['quote']}", first)
    return short if len(short) <= _MAX_CHARS else short[: _MAX_CHARS - 1] + "…"
