"""What people have declared as JSON shapes, with their types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from floe_monitor.domain.json_types import Moment
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from floe_monitor.domain.declarations import Announcement, OneOffMaintenance


class OneOffMaintenanceJson(TypedDict):
    """Maintenance that was declared while the monitor runs; of every target where both are null."""

    id: str
    state: Literal["planned", "in_force", "over"]
    targets: list[str] | None
    labels: dict[str, str] | None
    begins_at: Moment | None
    ends_at: Moment | None
    reason: str
    author: str
    by: Annotated[str, Field(description="The credential that declared it")]
    declared_at: Moment | None


class AnnouncementJson(TypedDict):
    """A text for whoever looks at the pages."""

    id: str
    text: str
    author: str
    by: Annotated[str, Field(description="The credential that declared it")]
    declared_at: Moment | None
    ends_at: Moment | None
    public: Annotated[bool, Field(description="On the public page too")]


class MaintenanceListJson(TypedDict):
    """Oldest first."""

    maintenance: list[OneOffMaintenanceJson]


class AnnouncementListJson(TypedDict):
    """Oldest first."""

    announcements: list[AnnouncementJson]


def one_off(known: OneOffMaintenance, now: float) -> OneOffMaintenanceJson:
    return {
        "id": known.id,
        "state": known.state(now),
        "targets": None if known.targets is None else list(known.targets),
        "labels": None if known.labels is None else dict(known.labels),
        "begins_at": moment(known.begins_at),
        "ends_at": moment(known.ends_at),
        "reason": known.reason,
        "author": known.author,
        "by": known.by,
        "declared_at": moment(known.declared_at),
    }


def announcement(known: Announcement) -> AnnouncementJson:
    return {
        "id": known.id,
        "text": known.text,
        "author": known.author,
        "by": known.by,
        "declared_at": moment(known.declared_at),
        "ends_at": moment(known.ends_at),
        "public": known.public,
    }
