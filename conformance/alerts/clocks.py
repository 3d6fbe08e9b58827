"""The shipped intervals, or all of them shortened by one factor."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

_LITERAL = re.compile(r"(?P<count>\d+)(?P<unit>ms|[smhd])")
_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_RANGE = re.compile(r"(?<=\[)[0-9smhd:]+(?=\])")
_SETTING = re.compile(
    r"(?P<key>\b(?:for|keep_firing_for|interval|group_wait|group_interval|repeat_interval): )"
    r"(?P<duration>[0-9smhd]+)\b"
)

STEP = 15.0
"""Seconds between probes, between scrapes and between evaluations."""
PATIENCE = 60.0
"""Real seconds that anything may take longer on a busy machine, however short the clocks."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`speed` 1 is the real thing; at 5 a minute lasts twelve seconds."""

    speed: float = 1.0

    def seconds(self, shipped: float) -> float:
        return shipped / self.speed

    def literal(self, shipped: str) -> str:
        """A duration as Prometheus writes it: `6h30m`."""
        total = sum(int(each["count"]) * _MILLISECONDS[each["unit"]] for each in _LITERAL.finditer(shipped))
        return f"{max(1, round(total / self.speed))}ms"

    def shortened(self, text: str) -> str:
        """A file of rules, or Alertmanager's configuration, with every duration in it."""
        if self.speed == 1:
            return text
        text = _RANGE.sub(lambda found: ":".join(map(self.literal, found[0].split(":"))), text)
        return _SETTING.sub(lambda found: found["key"] + self.literal(found["duration"]), text)

    def sleep(self, shipped: float) -> None:
        time.sleep(self.seconds(shipped))
