"""What is to be written at once: what has happened since the last time, with targets by their names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from floe_monitor.domain.declarations import Declarations
    from floe_monitor.domain.health import HealthStatus, Transition
    from floe_monitor.domain.incidents import Incident


class ResultRow(NamedTuple):
    """`at` in Unix seconds, `duration` in seconds."""

    target: str
    at: float
    status: int
    duration: float
    error_type: str | None
    maintained: bool


class TransitionRow(NamedTuple):
    target: str
    at: float
    before: HealthStatus
    after: HealthStatus
    lasted: float
    error_type: str | None
    message: str

    @classmethod
    def of(cls, target: str, made: Transition, error_type: str | None, message: str) -> TransitionRow:
        return cls(target, made.at, made.before, made.after, made.lasted, error_type, message)


@dataclass(slots=True)
class Batch:
    """`touched` are the targets whose state has changed; of an incident the newest is enough."""

    results: list[ResultRow] = field(default_factory=list)
    transitions: list[TransitionRow] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    declared: Declarations | None = None
    """As they are since the last change, if there was one."""

    def __len__(self) -> int:
        declared = self.declared is not None
        return len(self.results) + len(self.transitions) + len(self.incidents) + declared

    def join(self, later: Batch) -> None:
        self.results += later.results
        self.transitions += later.transitions
        self.incidents.update(later.incidents)
        self.touched |= later.touched
        self.declared = later.declared or self.declared

    def shorten(self, most: int) -> int:
        """Without its oldest results, where it is longer than that; how many were dropped. Status changes and
        incidents, which are few and kept for good, go last."""
        before = len(self)
        over = before - most
        if over > 0:
            del self.results[:over]
            over = len(self) - most
        if over > 0:
            del self.transitions[:over]
        return before - len(self)
