"""What is known of one thing that is measured, for both back ends."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    HISTOGRAM = "histogram"
    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"


class Origin(StrEnum):
    """Where the value comes from: counted as events happen, or read from the state when it is collected."""

    EVENTS = "events"
    TARGET = "target"
    MONITOR = "monitor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """`name` is the Prometheus sample name; a histogram's is that of its family. `buckets` are in seconds."""

    name: str
    kind: Kind
    origin: Origin
    description: str
    otlp: str | None = None
    otlp_unit: str = "1"
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def family(self) -> str:
        """OpenMetrics' family name: counters and infos without their suffix."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str:
        return "seconds" if self.family.endswith("_seconds") else ""

    @property
    def otlp_buckets(self) -> list[float]:
        return [bound * 1000 for bound in self.buckets]
