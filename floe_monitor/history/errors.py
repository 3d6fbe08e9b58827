"""What can be wrong with a history."""

from __future__ import annotations


class HistoryUnavailableError(Exception):
    """The database cannot be used now; the text says why and what to do, without any secret."""


class HistoryMissingError(HistoryUnavailableError):
    """No daemon has begun one there."""


class HistoryCorruptError(HistoryUnavailableError):
    """The file is one of ours, and damaged."""
