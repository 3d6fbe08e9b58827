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
    PROCESS = "process"


ATTRIBUTES = {"error_type": "error.type", "server_address": "server.address"}
"""Labels whose attribute has a name of OpenTelemetry's conventions, of which Prometheus makes the label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """`name` is the Prometheus sample name; a histogram's is that of its family. `buckets` are in seconds.

    Of `otlp` and `otlp_unit` Prometheus, receiving them, makes `name` by its own rules: it appends what the
    unit stands for, `_ratio` to a gauge whose unit is 1, and `_total` to a counter. A unit in braces says
    what is counted and adds nothing. `otlp_ms` is a second form, in milliseconds.
    """

    name: str
    kind: Kind
    origin: Origin
    description: str
    otlp: str
    otlp_unit: str
    otlp_ms: str | None = None
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
    def attributes(self) -> tuple[str, ...]:
        """The labels as OTLP has them, in their order."""
        return tuple(ATTRIBUTES.get(label, label) for label in self.labels)
