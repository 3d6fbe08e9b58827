"""What can go wrong with a session, and the one place where it gets the contract's names."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING

from floe_monitor.compute import ErrorType, Failure, resource_error_in_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute import MonitorResourceError


class Stage(IntEnum):
    """How far a connection came."""

    NETWORK = 1
    """Waiting for TCP."""
    TLS = 2
    LOGIN = 3
    DATABASE = 4
    """Authenticated; the server opens the session."""
    OPEN = 5


class SessionError(Exception):
    """A session could not be opened or used. `stage` is how far it had come."""

    def __init__(self, stage: Stage, message: str) -> None:
        super().__init__(message)
        self.stage = stage


class TimedOutError(SessionError):
    def __init__(self, stage: Stage) -> None:
        super().__init__(stage, f"no answer in time while waiting for {_WAITED_FOR[stage]}")


class ServerError(SessionError):
    """The server answered with an error."""

    def __init__(self, sqlstate: str, message: str, stage: Stage) -> None:
        super().__init__(stage, f"{message} (SQLSTATE {sqlstate})")
        self.sqlstate = sqlstate


class LinkError(SessionError):
    """No answer from the server: libpq itself gave up."""

    def __init__(self, stage: Stage, message: str, *, needs_password: bool = False) -> None:
        super().__init__(stage, message)
        self.needs_password = needs_password


_WAITED_FOR = {
    Stage.NETWORK: "the TCP connection",
    Stage.TLS: "the reply to the TLS request",
    Stage.LOGIN: "the login",
    Stage.DATABASE: "the session to open",
    Stage.OPEN: "the query",
}
_BY_SQLSTATE = {
    "42501": ErrorType.PERMISSION,
    "25006": ErrorType.PERMISSION,  # read-only transaction
    "3D000": ErrorType.CONFIGURATION,  # no such database
    "3F000": ErrorType.CONFIGURATION,  # no such schema
    "0P000": ErrorType.CONFIGURATION,  # no such role
    "22023": ErrorType.CONFIGURATION,  # SET ROLE says this of a role that does not exist
    "42601": ErrorType.CONFIGURATION,  # only configured texts can be no SQL
    "42704": ErrorType.CONFIGURATION,
    "55000": ErrorType.CONNECTION,  # the database takes no connections
    "57014": ErrorType.TIMEOUT,  # statement_timeout
    "55P03": ErrorType.TIMEOUT,  # lock_timeout
}
_BY_CLASS = {
    "08": ErrorType.CONNECTION,
    "28": ErrorType.AUTHENTICATION,
    "53": ErrorType.CONNECTION,  # too many connections, out of memory, disk full
    "57": ErrorType.CONNECTION,  # starting up, shutting down, terminated
    "58": ErrorType.CONNECTION,  # the server's own files
}
_OF_POOLERS = (
    ("no such database", ErrorType.CONFIGURATION),
    ("unsupported startup parameter", ErrorType.CONFIGURATION),
    ("statement pooling mode", ErrorType.CONFIGURATION),
    ("no such user", ErrorType.AUTHENTICATION),
    ("authentication failed", ErrorType.AUTHENTICATION),
)
"""pgbouncer gives all of its own refusals the code 08P01, and writes them in English alone."""


def link_error(
    stage: Stage, message: str, *, needs_password: bool = False
) -> LinkError | MonitorResourceError:
    """What libpq itself says; it has no more than the system's words for a shortage of this process."""
    return resource_error_in_text(message) or LinkError(stage, message, needs_password=needs_password)


def classify(error: Exception, files: Iterable[str] = ()) -> Failure:
    """`files` are those of the TLS set-up: a missing one explains a failed handshake."""
    message = str(error)
    if isinstance(error, TimedOutError):
        return Failure(ErrorType.TIMEOUT, message)
    if isinstance(error, ServerError):
        return Failure(_of_server(error, message), message)
    if isinstance(error, LinkError):
        return _of_link(error, message, files)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def _of_server(error: ServerError, message: str) -> ErrorType:
    if error.sqlstate == "08P01":
        kind = next((kind for words, kind in _OF_POOLERS if words in message), None)
        if kind is not None:
            return kind
    return _BY_SQLSTATE.get(error.sqlstate) or _BY_CLASS.get(error.sqlstate[:2], ErrorType.QUERY)


def _of_link(error: LinkError, message: str, files: Iterable[str]) -> Failure:
    """By the stage that was reached: without an answer of the server there is no code."""
    unreadable = _unreadable(files) if error.stage in {Stage.TLS, Stage.LOGIN} else None
    if unreadable is not None:
        return Failure(ErrorType.CONFIGURATION, f"{unreadable}: {message}")
    if error.needs_password:
        return Failure(ErrorType.AUTHENTICATION, "the server asks for a password and none is configured")
    if error.stage is Stage.LOGIN and "SSL error" in message and "alert" in message:
        # Under TLS 1.3 a client learns after the handshake, and from OpenSSL's words alone, that its
        # certificate was refused.
        return Failure(ErrorType.AUTHENTICATION, f"the server refused the client certificate: {message}")
    return Failure(ErrorType.CONNECTION, message)


def _unreadable(files: Iterable[str]) -> str | None:
    for name in files:
        try:
            with Path(name).open("rb"):
                pass
        except OSError as problem:
            return f"cannot read {name} ({problem.strerror})"
    return None
