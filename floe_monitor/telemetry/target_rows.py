"""Targets as rows of attributes and values, for OTLP: what `target_block.py` writes as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.state_metrics import error_type_of, took_by_check, worst_by_check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.telemetry.instrument import Instrument

    Attributes = dict[str, str]
    Row = tuple[Attributes, float]
    Reader = Callable[[TargetSnapshot, Attributes, float], Iterable[Row]]


def target_rows(
    snapshots: Sequence[TargetSnapshot], now: float
) -> Iterator[tuple[Instrument, Iterable[Row]]]:
    """By instrument, rows lazily: ten thousand targets have two hundred thousand. `now` is monotonic."""
    named = [(each, {"target": each.target.name, "plugin": each.target.plugin_name}) for each in snapshots]
    for instrument, read in _READERS.items():
        yield instrument, (row for each, names in named for row in read(each, names, now))


def _of_snapshot(value: Callable[[TargetSnapshot], float | None]) -> Reader:
    def read(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
        found = value(snapshot)
        return () if found is None else ((names, found),)

    return read


def _of_last(value: Callable[[Any], float]) -> Reader:
    return _of_snapshot(lambda snapshot: None if snapshot.last is None else value(snapshot.last))


def _result_seconds(snapshot: TargetSnapshot, names: Attributes, now: float) -> Iterable[Row]:
    for status in ConnectionStatus:
        yield {**names, "status": status.value}, snapshot.availability.seconds(status, now)


def _maintenance(snapshot: TargetSnapshot) -> int | None:
    if snapshot.maintenance is not None:
        return 1
    return 0 if snapshot.target.windows else None


def _maintenance_seconds(snapshot: TargetSnapshot, names: Attributes, now: float) -> Iterable[Row]:
    known = snapshot.availability
    if snapshot.target.windows or known.maintained_since is not None:
        yield names, known.maintenance_seconds(now)


def _error(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    reason = None if snapshot.last is None or snapshot.stale else error_type_of(snapshot.last)
    if reason is not None:
        yield {**names, "error.type": reason.value}, 1


def _checks(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    for check, severity in worst_by_check(snapshot).items():
        yield {**names, "check": check}, severity


def _check_durations(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    if snapshot.last is None or snapshot.stale:
        return
    for check, milliseconds in took_by_check(snapshot.last).items():
        yield {**names, "check": check}, milliseconds / 1000


def _expiries(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    for each in snapshot.expiries:
        yield {**names, "what": each.what.value}, each.at


def _warnings(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    for each in snapshot.expiries:
        if each.lead:
            yield {**names, "what": each.what.value}, each.lead


def _info(snapshot: TargetSnapshot, names: Attributes, _: float) -> Iterable[Row]:
    target = snapshot.target
    attributes = {**names, "dbt_type": target.adapter_type}
    if snapshot.server_address:
        attributes["server.address"] = snapshot.server_address
    attributes |= {f"label_{name}": value for name, value in target.labels.items()}
    yield attributes, 1


_READERS: dict[Instrument, Reader] = {
    of_targets.TARGET_STATUS: _of_snapshot(lambda each: int(each.status)),
    of_targets.TARGET_UP: _of_snapshot(lambda each: int(each.status.is_up)),
    of_targets.TARGET_FAILURES: _of_snapshot(lambda each: each.health.consecutive_failures),
    of_targets.TARGET_CHANGES: _of_snapshot(lambda each: each.health.status_changes),
    of_targets.TARGET_LAST_DURATION: _of_last(lambda last: last.duration),
    of_targets.TARGET_LAST_VALIDATION: _of_last(lambda last: last.finished_at),
    of_targets.TARGET_LAST_SUCCESS: _of_snapshot(lambda each: each.last_success_at),
    of_targets.TARGET_CHECK: _checks,
    of_targets.TARGET_CHECK_DURATION: _check_durations,
    of_targets.TARGET_VALIDATIONS: _of_snapshot(lambda each: each.availability.results),
    of_targets.TARGET_RESULT_SECONDS: _result_seconds,
    of_targets.TARGET_ERROR: _error,
    of_targets.TARGET_MAINTENANCE: _of_snapshot(_maintenance),
    of_targets.TARGET_MAINTENANCE_END: _of_snapshot(
        lambda each: None if each.maintenance is None else each.maintenance.until
    ),
    of_targets.TARGET_MAINTENANCE_SECONDS: _maintenance_seconds,
    of_targets.TARGET_EXPIRY: _expiries,
    of_targets.TARGET_EXPIRY_WARNING: _warnings,
    of_targets.TARGET_WAKE_DURATION: _of_snapshot(lambda each: each.engine_start.seconds),
    of_targets.TARGET_INFO: _info,
    of_targets.TARGET_INTERVAL: _of_snapshot(lambda each: each.target.policy.longest_interval),
    of_targets.TARGET_OBJECTIVE: _of_snapshot(lambda each: each.target.objective / 100),
}

METRICS_PER_TARGET = len(_READERS)
"""About as many points a target has: of some metrics none, of some several."""
