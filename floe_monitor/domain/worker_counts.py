"""How many workers a plugin has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerCounts:
    """Workers of one plugin: `busy` includes `stuck`."""

    busy: int = 0
    stuck: int = 0
    limit: int = 0
