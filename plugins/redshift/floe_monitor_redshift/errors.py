"""What can go wrong on the way to Redshift, and the one place where it gets the contract's names."""

from __future__ import annotations

import re
from functools import partial

from floe_monitor.compute import ErrorType, Failure
from floe_monitor.compute.toolkit.responses import protocol_errors_as

_LONGEST = 500


class RedshiftError(Exception):
    """The cluster or AWS could not be used. Connections have the toolkit's own errors."""


class ServerError(RedshiftError):
    """The server answered with an error."""

    def __init__(self, sqlstate: str, message: str) -> None:
        self.sqlstate = sqlstate
        self.said = one_line(message) or "no message"
        super().__init__(f"{self.said} (SQLSTATE {sqlstate})" if sqlstate else self.said)


class TlsRefusedError(RedshiftError):
    def __init__(self) -> None:
        super().__init__(
            "the server refuses TLS, and every sslmode of dbt's but disable demands it: what answers there "
            "is no endpoint of Redshift's, or stands before one"
        )


class LoginMethodError(RedshiftError):
    """The server asks to be proved to in a way that neither a password nor dbt's driver serves."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the server asks for a login of kind {code}, for which dbt's driver has no answer")


class UnexpectedAnswerError(RedshiftError):
    """An answer came, but not in the protocol that was expected, or it is too long."""


class AwsError(RedshiftError):
    """A service of AWS refused a request."""

    def __init__(self, service: str, action: str, status: int, code: str, message: str) -> None:
        self.status, self.code = status, code
        text = one_line(message)
        said = f": {text}" if text else ""
        super().__init__(f"{service} refuses {action} ({code or f'status {status}'}){said}")


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
    "57014": ErrorType.TIMEOUT,  # statement_timeout, or a WLM rule
}
_BY_CLASS = {
    "08": ErrorType.CONNECTION,
    "28": ErrorType.AUTHENTICATION,
    "53": ErrorType.CONNECTION,  # too many connections, out of memory, disk full
    "57": ErrorType.CONNECTION,  # starting up, shutting down, terminated
    "58": ErrorType.CONNECTION,  # the server's own files
}
_BY_WORDS = (
    ("connection limit", ErrorType.CONNECTION),
    ("too many connections", ErrorType.CONNECTION),
    ("permission denied", ErrorType.PERMISSION),
    ("authentication failed", ErrorType.AUTHENTICATION),
)
"""Redshift gives many of its own refusals the code XX000."""
_WITHOUT_TLS = re.compile(r"no pg_hba\.conf entry for .*(SSL off|no encryption)")
"""The demand for TLS, which has the code of a wrong password."""

_AWS_UNKNOWN_ASKER = frozenset(
    {
        "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId",
        "UnrecognizedClientException", "SignatureDoesNotMatch", "InvalidSignatureException",
        "IncompleteSignature", "MissingAuthenticationToken", "InvalidAccessKeyId", "AuthFailure",
        "InvalidIdentityToken", "IDPRejectedClaim", "RequestTimeTooSkewed",
    }
)  # fmt: skip
_AWS_FORBIDDEN = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "OptInRequired", "NotAuthorized"}
)
_AWS_NOT_NOW = frozenset(
    {"Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequestsException"}
)


translated = partial(protocol_errors_as, UnexpectedAnswerError)
"""For what is read of a server: another kind of server answers."""


def classify(error: Exception) -> Failure:
    message = str(error)
    if isinstance(error, ServerError):
        return _of_server(error, message)
    if isinstance(error, AwsError):
        return Failure(_of_aws(error), message)
    if isinstance(error, LoginMethodError):
        return Failure(ErrorType.AUTHENTICATION, message)
    if isinstance(error, TlsRefusedError | UnexpectedAnswerError):
        return Failure(ErrorType.CONFIGURATION, message)
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {message}")


def throttled(error: Exception) -> bool:
    """Whether AWS answers that it does not now: dbt's driver asks again, four times."""
    return isinstance(error, AwsError) and (error.code in _AWS_NOT_NOW or error.status in {429, 503})


def unknown_user(error: Exception) -> bool:
    """Whether the server says that the user of temporary credentials is not in the database."""
    return isinstance(error, ServerError) and "user" in error.said and "does not exist" in error.said


def one_line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]


def _of_server(error: ServerError, message: str) -> Failure:
    if _WITHOUT_TLS.match(error.said):
        hint = "the server lets nobody in without TLS: leave sslmode out, or set it to verify-full"
        return Failure(ErrorType.CONFIGURATION, f"{message}: {hint}")
    by_words = next((kind for words, kind in _BY_WORDS if words in error.said), ErrorType.QUERY)
    by_class = _BY_CLASS.get(error.sqlstate[:2], by_words)
    return Failure(_BY_SQLSTATE.get(error.sqlstate, by_class), message)


def _of_aws(error: AwsError) -> ErrorType:
    if error.code in _AWS_UNKNOWN_ASKER:
        return ErrorType.AUTHENTICATION
    if error.code in _AWS_FORBIDDEN or error.status in {401, 403}:
        return ErrorType.PERMISSION
    if throttled(error) or error.status >= 500:
        return ErrorType.CONNECTION
    return ErrorType.CONFIGURATION
