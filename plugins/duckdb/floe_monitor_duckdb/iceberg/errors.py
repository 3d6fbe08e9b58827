"""What a catalog or its token endpoint may answer that keeps DuckDB from working with it."""

from __future__ import annotations

from typing import ClassVar

from floe_monitor.compute import ComputeError, ErrorType


class CatalogAnswerError(ComputeError):
    """Something answers, but not with what DuckDB needs."""

    error_type: ClassVar[ErrorType] = ErrorType.CATALOG


class CatalogAuthenticationError(CatalogAnswerError):
    error_type = ErrorType.AUTHENTICATION


class CatalogPermissionError(CatalogAnswerError):
    error_type = ErrorType.PERMISSION
