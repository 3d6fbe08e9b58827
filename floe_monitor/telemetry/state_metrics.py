"""What the Prometheus page and OTLP derive from the monitor's state and a result in the same way."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.telemetry import monitor_instruments as of_monitor

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.telemetry.instrument import Instrument

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Label values in the table's order, and the value."""


def error_type_of(result: ProbeResult) -> ErrorType | None:
    """The reason under which a result is counted: an unhealthy one always has one."""
    if result.error_type is None and result.status is ConnectionStatus.UNHEALTHY:
        return ErrorType.QUERY
    return result.error_type


def state_rows(state: MonitorState) -> Iterator[tuple[Instrument, Rows]]:
    """The monitor's own state, as far as OTLP carries it too."""
    yield of_monitor.INCIDENTS_OPEN, [((), len(state.incidents))]
    workers = tuple(state.workers.items())
    yield of_monitor.WORKERS_BUSY, [((plugin,), counts.busy) for plugin, counts in workers]
    yield of_monitor.WORKERS_STUCK, [((plugin,), counts.stuck) for plugin, counts in workers]
    yield of_monitor.WORKERS_LIMIT, [((plugin,), counts.limit) for plugin, counts in workers]
    yield of_monitor.RELOAD_SUCCESSFUL, [((), int(state.config.last_reload_successful))]
    yield of_monitor.CONNECTIVITY, [((), state.reach.judged(time.monotonic()).value)]
    profiles = tuple(state.profiles.items())
    yield (
        of_monitor.PROFILE_IN_SYNC,
        [((name,), int(last.result in ("written", "unchanged"))) for name, last in profiles],
    )
    yield of_monitor.SINK_DROPPED, [((sink,), count) for sink, count in tuple(state.dropped.items())]
    channels = tuple(state.notifications.items())
    yield (
        of_monitor.NOTIFICATIONS,
        [
            ((name, result), number)
            for name, c in channels
            for result, number in (("sent", c.sent), ("failed", c.failed), ("dead", c.dead))
        ],
    )
    yield of_monitor.NOTIFICATIONS_PENDING, [((name,), c.pending + c.held) for name, c in channels]
