"""The page Prometheus scrapes: the state as it is now, and what the sink has counted.

Series of targets are rendered by hand (`target_block.py`): ten thousand targets have two hundred thousand of
them, for which the client library takes twenty times as long.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from floe_monitor.domain.interpreter_turns import Breaks
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.state_metrics import Rows, monitor_rows
from floe_monitor.telemetry.target_block import KEPT, SIZE, TargetBlock
from floe_monitor.telemetry.text_format import encode, header, labels_block

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from prometheus_client import CollectorRegistry, Metric

    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.instrument import Instrument
    from floe_monitor.telemetry.prometheus import PrometheusSink

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class _WithoutCreated(Collector):
    """The registry without `_created` samples: a second, unused series for each counter."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class MetricsPage:
    """`render` blocks for some milliseconds per thousand targets: call it in a thread."""

    def __init__(
        self,
        state: MonitorState,
        sink: PrometheusSink,
        version: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._counted = _WithoutCreated(sink.registry)
        self._version = version
        self._monotonic = monotonic
        self._blocks: list[TargetBlock] = []
        self._lock = threading.Lock()

    def render(self, *, openmetrics: bool = False) -> tuple[bytearray, str]:
        """The page and its content type: OpenMetrics or plain text."""
        with self._lock:
            parts = list(self._target_families(openmetrics=openmetrics))
        rows = monitor_rows(self._state, self._version, self._monotonic())
        parts += [_family(each, lines, openmetrics=openmetrics) for each, lines in rows]
        generate: Callable[[Collector], bytes] = generate_openmetrics if openmetrics else generate_text
        parts.append(generate(self._counted))  # for OpenMetrics it ends with `# EOF`
        return _joined(parts), OPENMETRICS if openmetrics else TEXT

    def _target_families(self, *, openmetrics: bool) -> Iterator[bytes]:
        breaks = Breaks()
        blocks = self._refresh(breaks)
        if not blocks:
            return
        for instrument in KEPT:
            yield encode(header(instrument, openmetrics=openmetrics))
            yield from [block.lines[instrument.name] for block in blocks]
        now = self._monotonic()
        yield encode(header(of_targets.TARGET_RESULT_SECONDS, openmetrics=openmetrics))
        for block in blocks:
            yield block.seconds(now)
            breaks.take_if_due()
        yield encode(header(of_targets.TARGET_MAINTENANCE_SECONDS, openmetrics=openmetrics))
        yield from [block.maintained(now) for block in blocks]

    def _refresh(self, breaks: Breaks) -> list[TargetBlock]:
        snapshots = self._state.view()
        starts = range(0, len(snapshots), SIZE)
        blocks = self._blocks[: len(starts)]
        blocks += [TargetBlock() for _ in range(len(starts) - len(blocks))]
        for start, block in zip(starts, blocks, strict=True):
            block.show(snapshots[start : start + SIZE])
            breaks.take_if_due()
        self._blocks = blocks
        return blocks


def _joined(parts: list[bytes]) -> bytearray:
    """As `join` does, which holds the interpreter until it has memory for all: 10 ms for twelve megabytes."""
    whole = bytearray()
    for part in parts:
        whole += part
    return whole


def _family(instrument: Instrument, rows: Rows, *, openmetrics: bool) -> bytes:
    lines = [
        f"{instrument.name}{labels_block(instrument.labels, values)} {value}\n" for values, value in rows
    ]
    return encode(header(instrument, openmetrics=openmetrics) + "".join(lines)) if lines else b""
