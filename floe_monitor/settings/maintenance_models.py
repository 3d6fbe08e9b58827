"""The section `maintenance` as models: when targets are worked on."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from floe_monitor.settings.durations import DAY, Duration
from floe_monitor.settings.fields import LabelName, Model, Name
from floe_monitor.settings.recurrence import Recurrence, zone

MOST_WINDOWS = 256
"""In one list."""


class WindowSettings(Model):
    """A maintenance window of one target."""

    cron: str = Field(description="When it begins: minute, hour, day of month, month, day of week; in quotes")
    duration: Duration = Field(ge=1, le=31 * DAY, description="How long it lasts")
    timezone: str = Field(default="UTC", description="Whose clock cron goes by: Europe/Berlin")
    reason: str = Field(default="", max_length=500, description="Told wherever the window is shown")

    @field_validator("timezone")
    @classmethod
    def _known(cls, name: str) -> str:
        zone(name)
        return name

    @field_validator("cron")
    @classmethod
    def _recurs(cls, expression: str) -> str:
        return Recurrence(" ".join(expression.split()), "UTC").expression

    @property
    def recurrence(self) -> Recurrence:
        return Recurrence(self.cron, self.timezone)


class MaintenanceSettings(WindowSettings):
    """A maintenance window of several targets: of all, unless it says of which."""

    targets: Annotated[list[Name], Field(min_length=1)] | None = Field(
        default=None, description="Of these targets alone"
    )
    labels: Annotated[dict[LabelName, str], Field(min_length=1)] | None = Field(
        default=None, description="Of targets with all of these labels alone"
    )

    @model_validator(mode="after")
    def _one_choice(self) -> MaintenanceSettings:
        if self.targets is not None and self.labels is not None:
            raise ValueError("give `targets` or `labels`; two windows where both are meant")
        return self
