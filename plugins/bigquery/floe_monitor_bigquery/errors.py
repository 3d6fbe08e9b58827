"""What can go wrong, and the one place where it gets the contract's names: by status and reason."""

from __future__ import annotations

from floe_monitor.compute import ErrorType, Failure


class AnsweredError(Exception):
    """An answer that is no success. `reason` is the API's own word, or OAuth's `error`."""

    def __init__(self, where: str, status: int, reason: str, message: str) -> None:
        said = f"{reason}: {message}" if message else reason
        super().__init__(f"{where} answered {status} {said}".strip())
        self.where = where
        self.status = status
        self.reason = reason


class UnusableAnswerError(Exception):
    """An answer that is not the API's: of a captive portal, a proxy, another service."""


_BY_REASON = {
    "accessDenied": ErrorType.PERMISSION,
    "insufficientPermissions": ErrorType.PERMISSION,
    "forbidden": ErrorType.PERMISSION,
    "userProjectAccountProblem": ErrorType.PERMISSION,
    "accessNotConfigured": ErrorType.CONFIGURATION,
    "SERVICE_DISABLED": ErrorType.CONFIGURATION,
    "billingNotEnabled": ErrorType.CONFIGURATION,
    "billingTierLimitExceeded": ErrorType.CONFIGURATION,
    "notFound": ErrorType.CONFIGURATION,
    "invalid": ErrorType.CONFIGURATION,
    "authError": ErrorType.AUTHENTICATION,
    "invalid_grant": ErrorType.AUTHENTICATION,
    "invalid_client": ErrorType.AUTHENTICATION,
    "unauthorized_client": ErrorType.AUTHENTICATION,
    "invalid_scope": ErrorType.CONFIGURATION,
    "invalid_request": ErrorType.CONFIGURATION,
    "unsupported_grant_type": ErrorType.CONFIGURATION,
    "backendError": ErrorType.CONNECTION,
    "internalError": ErrorType.CONNECTION,
}
"""BigQuery's reasons and OAuth's; quotas and what is not listed count as `query`."""
_BY_STATUS = {
    400: ErrorType.QUERY,
    401: ErrorType.AUTHENTICATION,
    403: ErrorType.PERMISSION,
    404: ErrorType.CONFIGURATION,
    407: ErrorType.CONNECTION,
}
QUOTA = frozenset({"quotaExceeded", "rateLimitExceeded", "jobRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
TRANSIENT = frozenset({"rateLimitExceeded", "jobRateLimitExceeded", "backendError", "internalError"})
"""Reasons for which dbt's driver tries again."""


def classify(error: Exception) -> Failure:
    if isinstance(error, AnsweredError):
        return Failure(_of_answer(error), str(error))
    if isinstance(error, UnusableAnswerError):
        return Failure(ErrorType.CONNECTION, str(error))
    return Failure(ErrorType.QUERY, f"{type(error).__name__}: {error}")


def _of_answer(error: AnsweredError) -> ErrorType:
    if error.status == 401:
        return ErrorType.AUTHENTICATION
    if error.reason in QUOTA:
        return ErrorType.QUERY
    if error.reason in _BY_REASON:
        return _BY_REASON[error.reason]
    if error.status >= 500 or error.status < 400:
        return ErrorType.CONNECTION
    return _BY_STATUS.get(error.status, ErrorType.QUERY)
