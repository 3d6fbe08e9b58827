"""Times that come again, as cron writes them, on the clock of a time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo, available_timezones

from floe_monitor.compute.toolkit.suggestions import nearest

LONGEST_EXPRESSION = 128
"""Characters."""
_FIELDS = "minute, hour, day of month, month, day of week"


def zone(name: str) -> tzinfo:
    """By its IANA name. `ValueError` says what is near."""
    if name == "UTC":
        return UTC  # known without a database
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        known = available_timezones()
    if not known:
        raise ValueError("this machine has no time zones: install the package tzdata, or write UTC")
    near = nearest(name, known)
    raise ValueError(f"is no time zone; {f'did you mean {near!r}?' if near else 'write Europe/Berlin'}")


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The moments that a cron expression of five fields names in a time zone.

    As cron does it where clocks change: a time that is skipped comes when the clock has been put forward, one
    that there is twice comes the first time. With `*` as minute or hour it goes by time that really passes.
    """

    expression: str
    timezone: str

    def __post_init__(self) -> None:
        """`ValueError` for what is no expression, no zone, or never comes."""
        zone(self.timezone)
        if len(self.expression) > LONGEST_EXPRESSION:
            raise ValueError(f"is longer than {LONGEST_EXPRESSION} characters")
        if len(self.expression.split()) != len(_FIELDS.split(", ")):
            raise ValueError(f"must have five fields: {_FIELDS}")
        if self.after(0.0) is None:
            raise ValueError("names no day that ever comes")

    def after(self, moment: float) -> float | None:
        """The first of its moments later than this one, in Unix seconds."""
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - most have no maintenance window

        try:
            moments = CronSim(self.expression, datetime.fromtimestamp(moment, zone(self.timezone)))
        except CronSimError as error:
            what = str(error).removeprefix("Bad ").replace("-", " ").replace("day of week", "day of the week")
            raise ValueError(f"has a field that cron does not know: {what}") from None
        for each in moments:
            # In an hour that there is twice, cronsim starts from its first pass.
            if (found := each.timestamp()) > moment:
                return found
        return None
