"""Times as text, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def moment(at: float | None) -> str | None:
    """Unix seconds as `2026-11-22T10:00:00.000Z`."""
    if not at:
        return None
    try:
        whole = int(at)
        return f"{_second(whole)}.{int((at - whole) * 1000):03d}Z"
    except (ValueError, OverflowError, OSError):
        return None  # a clock that is far off, or a plugin's odd value, must not cost the whole answer


@lru_cache(maxsize=4096)
def _second(at: int) -> str:
    """Thousands of targets share their seconds."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")
