"""The section `history`: how much is kept in memory, and where and for how long beyond it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from floe_monitor.settings.fields import Model, Pathname, VariableName

HistoryCount = Annotated[int, Field(ge=0, le=1000)]
DEFAULT_URL = "sqlite:///var/history.db"


class HistoryUrl(Model):
    """Where a database's address is found, or the address itself, which then has no password."""

    env: VariableName | None = Field(default=None, description="Environment variable that holds it")
    file: Pathname | None = Field(default=None, description="File that holds it; one final newline is cut")
    plain: str | None = Field(default=None, description="The address itself, as `url: sqlite:///…` gives it")

    @model_validator(mode="after")
    def _one_source(self) -> HistoryUrl:
        if sum(each is not None for each in (self.env, self.file, self.plain)) != 1:
            raise ValueError("give an address, or `env: NAME`, or `file: PATH`")
        return self


def _from_text(value: Any) -> Any:
    return {"plain": value} if isinstance(value, str) else value


class RetentionSettings(Model):
    """How many days what is kept; status changes and incidents are kept for good."""

    results_days: int = Field(default=7, ge=1, le=366, description="Single results")
    hourly_days: int = Field(default=90, ge=2, le=3660, description="Counts and latency of each hour")
    daily_days: int = Field(default=1825, ge=2, le=36600, description="Counts and latency of each day")


class HistorySettings(Model):
    """A number alone is `results`, and nothing is kept beyond the process."""

    results: int = Field(default=20, ge=0, le=1000, description="Results kept per target, in memory")
    url: (
        Annotated[HistoryUrl, BeforeValidator(_from_text, json_schema_input_type=str | HistoryUrl)] | None
    ) = Field(
        default=None,
        description="Database that keeps a history: sqlite:///PATH, or a server's address, by reference "
        "where it has a password",
    )
    retention: RetentionSettings = Field(default_factory=RetentionSettings, description="How long")
    max_megabytes: int = Field(
        default=2048,
        ge=16,
        description="Size of a SQLite file from which on the oldest results are deleted before their time",
    )

    @property
    def at_start(self) -> tuple[Any, ...]:
        """What takes effect at the next start."""
        return self.url, self.retention, self.max_megabytes


def from_number(value: Any) -> Any:
    """`history: 20`, and `history: {}` for all that is the default, a file among it."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"results": value}
    if isinstance(value, dict) and "url" not in value:
        return {**value, "url": DEFAULT_URL}
    if value is None or isinstance(value, dict | HistorySettings):
        return value
    raise ValueError("must be a whole number, or a mapping")
