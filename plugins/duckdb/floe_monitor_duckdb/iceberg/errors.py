"""What a catalog or its token endpoint may answer that keeps DuckDB from working with it."""

from __future__ import annotations

from typing import Any, ClassVar

from floe_monitor.compute import ComputeError, ErrorType


class CatalogAnswerError(ComputeError):
    """Something answers, but not with what DuckDB needs."""

    error_type: ClassVar[ErrorType] = ErrorType.CATALOG


class CatalogAuthenticationError(CatalogAnswerError):
    error_type = ErrorType.AUTHENTICATION


class CatalogPermissionError(CatalogAnswerError):
    error_type = ErrorType.PERMISSION


_MAX_CHARS = 160


def reason_in(document: dict[str, Any]) -> str:
    """What the error model of Iceberg's REST API says in its own words, in parentheses; empty without any."""
    error = document.get("error")
    text = error.get("message") if isinstance(error, dict) else None
    words = " ".join(text.split()) if isinstance(text, str) else ""
    if not words or not words.isprintable():
        return ""
    return f" ({words if len(words) <= _MAX_CHARS else words[: _MAX_CHARS - 1] + '…'})"
