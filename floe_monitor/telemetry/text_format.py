"""How Prometheus' text formats write names, labels and headings."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from floe_monitor.telemetry.instrument import Instrument, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=4096)
def escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def labels_block(names: Iterable[str], values: Iterable[str]) -> str:
    inside = ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{inside}}}" if inside else ""


def header(instrument: Instrument, *, openmetrics: bool) -> str:
    """HELP, TYPE and, for OpenMetrics, UNIT. Plain text knows no info type and keeps suffixes in the name."""
    name = instrument.family if openmetrics else instrument.name
    kind = "gauge" if instrument.kind is Kind.INFO and not openmetrics else instrument.kind.value
    text = instrument.description.replace("\\", r"\\").replace("\n", r"\n")
    unit = f"# UNIT {name} {instrument.unit}\n" if openmetrics and instrument.unit else ""
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n{unit}"


def encode(text: str) -> bytes:
    # Surrogates cannot be encoded, and one odd label value must not cost the whole page.
    return text.encode("utf-8", "replace")
