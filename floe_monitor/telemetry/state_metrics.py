"""Readings of the state that more than one back end makes, by instrument of the table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.telemetry import monitor_instruments as of_monitor

if TYPE_CHECKING:
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.shards import Shard
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.telemetry.instrument import Instrument

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Label values in the table's order, and the value."""


def error_type_of(result: ProbeResult) -> ErrorType | None:
    """The reason under which a result is counted: an unhealthy one always has one."""
    if result.error_type is None and result.status is ConnectionStatus.UNHEALTHY:
        return ErrorType.QUERY
    return result.error_type


def worst_by_check(snapshot: TargetSnapshot) -> dict[str, int]:
    """A name that occurs twice is one series, of the worse status: a page with duplicates is refused."""
    worst: dict[str, int] = {}
    for check in snapshot.last.checks if snapshot.last else ():
        severity = 0 if snapshot.stale else check.status.severity
        worst[check.name] = max(severity, worst.get(check.name, 0))
    return worst


def took_by_check(result: ProbeResult) -> dict[str, float]:
    """Milliseconds; a name that occurs twice took both."""
    took: dict[str, float] = {}
    for check in result.checks:
        took[check.name] = took.get(check.name, 0.0) + check.latency_ms
    return took


def monitor_rows(state: MonitorState, version: str, now: float) -> Iterator[tuple[Instrument, Rows]]:
    """What is known of the monitor itself. `now` is monotonic."""
    yield of_monitor.INCIDENTS_OPEN, [((), len(state.incidents))]
    workers = tuple(state.workers.items())
    yield of_monitor.WORKERS_BUSY, [((plugin,), counts.busy) for plugin, counts in workers]
    yield of_monitor.WORKERS_STUCK, [((plugin,), counts.stuck) for plugin, counts in workers]
    yield of_monitor.WORKERS_LIMIT, [((plugin,), counts.limit) for plugin, counts in workers]
    beat = state.scheduler_beat
    yield of_monitor.SCHEDULER_BEAT_AGE, [((), max(0.0, now - beat))] if beat else []
    yield of_monitor.READY, [((), int(state.ready))]
    yield of_monitor.CONNECTIVITY, [((), state.reach.judged(now).value)]
    yield of_monitor.RELOAD_SUCCESSFUL, [((), int(state.config.last_reload_successful))]
    yield of_monitor.RELOAD_TIMESTAMP, [((), state.config.loaded_at)]
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
    yield of_monitor.HISTORY_UP, [((), int(not state.history_problem))] if state.keeps_history else []
    refused = tuple(state.refused_requests.items())
    yield of_monitor.REQUESTS_REFUSED, [((reason,), count) for reason, count in refused]
    shard = state.shard
    yield of_monitor.SHARD_INFO, _shard_rows(shard)
    yield of_monitor.CONFIGURED_TARGETS, [((), state.configured)] if shard is not None else []
    yield of_monitor.BUILD_INFO, [((version,), 1)]


def _shard_rows(shard: Shard | None) -> Rows:
    return [] if shard is None else [((str(shard.index), str(shard.count), str(shard.replicas)), 1)]
