"""What people declare while the monitor runs: one-off maintenance and announcements. Values; no clock."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads it when declarations are restored
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from floe_monitor.domain.maintenance import Once, Window, WindowChoice

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 100
"""Of either kind at once: each is looked at for every target."""
LONGEST_MAINTENANCE = 31 * 86_400.0
"""Seconds, as that of a configured window."""
LONGEST_ANNOUNCEMENT = FARTHEST = 366 * 86_400.0
"""Seconds that an announcement may stand, and to the beginning of a maintenance."""


@dataclass(frozen=True, slots=True)
class OneOffMaintenance:
    """Of these targets, of those with these labels, or of all where both are None. Times are Unix seconds.

    `author` is who is named, `by` the credential that declared it.
    """

    id: str
    begins_at: float
    ends_at: float
    reason: str
    author: str
    by: str
    declared_at: float
    targets: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None

    @property
    def window(self) -> WindowChoice:
        length = self.ends_at - self.begins_at
        chosen = None if self.targets is None else frozenset(self.targets)
        return WindowChoice(Window(Once(self.begins_at), length, self.reason), chosen, self.labels)

    def state(self, now: float) -> Literal["planned", "in_force", "over"]:
        if now < self.begins_at:
            return "planned"
        return "in_force" if now < self.ends_at else "over"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A text for whoever looks at the pages, until `ends_at`. `public`: on the public page too."""

    id: str
    text: str
    author: str
    by: str
    declared_at: float
    ends_at: float
    public: bool = False


@dataclass(frozen=True, slots=True)
class Declarations:
    """Oldest first; replaced whole. What is over is dropped at the next change."""

    maintenance: tuple[OneOffMaintenance, ...] = ()
    announcements: tuple[Announcement, ...] = ()

    def current(self, now: float) -> Declarations:
        """Without what is over."""
        return Declarations(
            tuple(each for each in self.maintenance if each.ends_at > now),
            tuple(each for each in self.announcements if each.ends_at > now),
        )

    def with_maintenance(self, added: OneOffMaintenance) -> Declarations:
        return replace(self, maintenance=(*self.maintenance, added))

    def with_announcement(self, added: Announcement) -> Declarations:
        return replace(self, announcements=(*self.announcements, added))

    def ended(self, identity: str, now: float) -> Declarations:
        """The one of that identity ends now; one that has not begun never was."""
        return Declarations(
            tuple(
                replace(each, ends_at=now) if each.id == identity else each
                for each in self.maintenance
                if each.id != identity or each.begins_at < now
            ),
            tuple(each for each in self.announcements if each.id != identity),
        )

    def joined(self, others: Declarations) -> Declarations:
        """With those of a former process, which are older."""
        return Declarations(
            _joined(others.maintenance, self.maintenance), _joined(others.announcements, self.announcements)
        )


T = TypeVar("T", bound=OneOffMaintenance | Announcement)


def _joined(older: Iterable[T], newer: Iterable[T]) -> tuple[T, ...]:
    known: dict[str, T] = {each.id: each for each in (*older, *newer)}
    return tuple(known.values())
