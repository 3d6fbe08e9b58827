"""A span of time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Unix seconds; `end` is not in it."""

    start: float
    end: float
