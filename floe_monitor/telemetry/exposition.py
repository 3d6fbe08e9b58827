"""The page Prometheus scrapes: the state as it is now, and what the sink has counted.

Series of targets are rendered by hand: ten thousand targets have a hundred thousand of them, for which the
client library takes twenty times as long. A target's label block is made once, its lines once per result.
"""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.exposition import generate_latest as generate_text
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.registry import Collector

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.telemetry import monitor_instruments as of_monitor
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.instrument import Instrument, Kind
from floe_monitor.telemetry.state_metrics import Rows, error_type_of, state_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from prometheus_client import CollectorRegistry, Metric

    from floe_monitor.domain.availability import Availability
    from floe_monitor.domain.shards import Shard
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.domain.targets import Target
    from floe_monitor.telemetry.prometheus import PrometheusSink

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

PER_TARGET = (
    of_targets.TARGET_STATUS,
    of_targets.TARGET_UP,
    of_targets.TARGET_FAILURES,
    of_targets.TARGET_CHANGES,
    of_targets.TARGET_LAST_DURATION,
    of_targets.TARGET_LAST_VALIDATION,
    of_targets.TARGET_LAST_SUCCESS,
    of_targets.TARGET_CHECK,
    of_targets.TARGET_CHECK_DURATION,
    of_targets.TARGET_VALIDATIONS,
    of_targets.TARGET_ERROR,
    of_targets.TARGET_MAINTENANCE,
    of_targets.TARGET_MAINTENANCE_END,
    of_targets.TARGET_EXPIRY,
    of_targets.TARGET_EXPIRY_WARNING,
    of_targets.TARGET_INFO,
    of_targets.TARGET_INTERVAL,
    of_targets.TARGET_OBJECTIVE,
)
"""In the order of the texts of one target."""
(
    _STATUS,
    _UP,
    _FAILURES,
    _CHANGES,
    _DURATION,
    _VALIDATION,
    _SUCCESS,
    _CHECK,
    _CHECK_DURATION,
    _VALIDATIONS,
    _ERROR,
    _MAINTENANCE,
    _MAINTENANCE_END,
    _EXPIRY,
    _EXPIRY_WARNING,
    _INFO,
    _INTERVAL,
    _OBJECTIVE,
) = (instrument.name for instrument in PER_TARGET)
_FIXED = 2
"""How many of them, the last ones, hold for the Target."""
_LEARNED = 3
"""How many of those before them hold until a validation learns something else of its server."""
_SECONDS = of_targets.TARGET_RESULT_SECONDS.name
_MAINTAINED = of_targets.TARGET_MAINTENANCE_SECONDS.name


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


class _Seconds(NamedTuple):
    """The lines of a target's counters of seconds. That of the counter in force changes at every scrape:
    `running` is its start, and its value the clock's time and `offset`."""

    settled: str = ""
    running: str = ""
    offset: float = 0.0

    def at(self, now: float) -> str:
        return f"{self.settled}{self.running}{now + self.offset:.3f}\n" if self.running else self.settled


class _Rendered(NamedTuple):
    """One target's text, a piece for each of `PER_TARGET`. `labels` holds for the Target, the rest for the
    snapshot."""

    snapshot: TargetSnapshot
    labels: str
    pieces: tuple[str, ...]
    seconds: _Seconds
    maintained: _Seconds


def _fixed(target: Target, labels: str) -> tuple[str, ...]:
    return (
        f"{_INTERVAL}{labels} {target.policy.longest_interval}\n",
        f"{_OBJECTIVE}{labels} {target.objective / 100:.12g}\n",
    )


def _learned(snapshot: TargetSnapshot, labels: str) -> tuple[str, ...]:
    target = snapshot.target
    named = {"target": target.name, "plugin": target.plugin_name, "dbt_type": target.adapter_type}
    if snapshot.server_address:
        named["server_address"] = snapshot.server_address
    named |= {f"label_{name}": value for name, value in sorted(target.labels.items())}
    expiries = [(f'{labels[:-1]},what="{each.what.value}"}}', each) for each in snapshot.expiries]
    return (
        "".join([f"{_EXPIRY}{block} {each.at:.0f}\n" for block, each in expiries]),
        "".join([f"{_EXPIRY_WARNING}{block} {each.lead:.12g}\n" for block, each in expiries if each.lead]),
        f"{_INFO}{labels_block(named.keys(), named.values())} 1\n",
    )


def _taught_nothing(before: TargetSnapshot, after: TargetSnapshot) -> bool:
    return before.expiries is after.expiries and before.server_address == after.server_address


def _varying(snapshot: TargetSnapshot, labels: str) -> tuple[str, ...]:
    status, health, last = snapshot.status, snapshot.health, snapshot.last
    success = snapshot.last_success_at
    up = 1 if status is HealthStatus.HEALTHY or status is HealthStatus.DEGRADED else 0
    if last is None:
        duration = validation = checks = check_durations = ""
    else:
        duration = f"{_DURATION}{labels} {last.duration}\n"
        validation = f"{_VALIDATION}{labels} {last.finished_at:.3f}\n"
        checks, check_durations = _check_lines(snapshot, labels) if last.checks else ("", "")
    reason = None if last is None or snapshot.stale else error_type_of(last)
    return (
        f"{_STATUS}{labels} {status.value}\n",
        f"{_UP}{labels} {up}\n",
        f"{_FAILURES}{labels} {health.consecutive_failures}\n",
        f"{_CHANGES}{labels} {health.status_changes}\n",
        duration,
        validation,
        "" if success is None else f"{_SUCCESS}{labels} {success:.3f}\n",
        checks,
        check_durations,
        f"{_VALIDATIONS}{labels} {snapshot.availability.results}\n",
        "" if reason is None else f'{_ERROR}{labels[:-1]},error_type="{reason.value}"}} 1\n',
        *_maintenance(snapshot, labels),
    )


def _maintenance(snapshot: TargetSnapshot, labels: str) -> tuple[str, str]:
    maintenance = snapshot.maintenance
    if maintenance is not None:
        return f"{_MAINTENANCE}{labels} 1\n", f"{_MAINTENANCE_END}{labels} {maintenance.until:.3f}\n"
    return (f"{_MAINTENANCE}{labels} 0\n" if snapshot.target.windows else ""), ""


def _seconds(known: Availability, labels: str) -> _Seconds:
    """All three series exist from the start: `rate()` does not see what a new counter begins with."""
    settled, running, offset = "", "", 0.0
    for status, seconds in zip(ConnectionStatus, known.settled, strict=True):
        start = f'{_SECONDS}{labels[:-1]},status="{status.value}"}} '
        if status is known.current:
            running, offset = start, seconds - known.since
        else:
            settled += f"{start}{seconds:.3f}\n"
    return _Seconds(settled, running, offset)


def _maintained(snapshot: TargetSnapshot, labels: str) -> _Seconds:
    known = snapshot.availability
    if not snapshot.target.windows and known.maintained_since is None:
        return _Seconds()
    start = f"{_MAINTAINED}{labels} "
    if known.maintained_since is None:
        return _Seconds(f"{start}{known.maintained:.3f}\n")
    return _Seconds("", start, known.maintained - known.maintained_since)


def _is_counted_alike(known: Availability, later: Availability) -> bool:
    return (
        known.settled is later.settled
        and known.latest is later.latest
        and known.maintained_since == later.maintained_since
    )


def _check_lines(snapshot: TargetSnapshot, labels: str) -> tuple[str, str]:
    """Of statuses and of durations. A name that occurs twice is one series, of the worse status and of both
    durations: a page with duplicates is refused."""
    worst: dict[str, int] = {}
    took: dict[str, float] = {}
    for check in snapshot.last.checks if snapshot.last else ():
        name, severity = check.name, 0 if snapshot.stale else check.status.severity
        if severity >= worst.get(name, 0):
            worst[name] = severity
        took[name] = took.get(name, 0.0) + check.latency_ms
    start = f'{labels[:-1]},check="'
    statuses = durations = ""
    for name, severity in worst.items():
        block = f'{start}{escape(name)}"}} '
        statuses += f"{_CHECK}{block}{severity}\n"
        durations += f"{_CHECK_DURATION}{block}{took[name] / 1000:.6f}\n"
    return statuses, "" if snapshot.stale else durations


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
        self._cache: dict[str, _Rendered] = {}
        self._lock = threading.Lock()

    def render(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The page and its content type: OpenMetrics or plain text."""
        with self._lock:
            parts = list(self._target_families(openmetrics=openmetrics))
        parts += [_family(each, rows, openmetrics=openmetrics) for each, rows in self._monitor_families()]
        generate: Callable[[Collector], bytes] = generate_openmetrics if openmetrics else generate_text
        parts.append(generate(self._counted))  # for OpenMetrics it ends with `# EOF`
        return b"".join(parts), OPENMETRICS if openmetrics else TEXT

    def _target_families(self, *, openmetrics: bool) -> Iterator[bytes]:
        """Encoded family by family: no other thread waits long, and no second copy of the page is made."""
        targets = self._refresh()
        columns = zip(*[rendered.pieces for rendered in targets], strict=True)
        for instrument, column in zip(PER_TARGET, columns, strict=False):
            yield _encode(header(instrument, openmetrics=openmetrics) + "".join(column))
        if targets:
            now = self._monotonic()
            seconds = "".join([rendered.seconds.at(now) for rendered in targets])
            yield _encode(header(of_targets.TARGET_RESULT_SECONDS, openmetrics=openmetrics) + seconds)
            maintained = "".join([rendered.maintained.at(now) for rendered in targets])
            yield _encode(header(of_targets.TARGET_MAINTENANCE_SECONDS, openmetrics=openmetrics) + maintained)

    def _refresh(self) -> Collection[_Rendered]:
        old, new = self._cache, {}
        for snapshot in self._state.view():
            name = snapshot.target.name
            known = old.get(name)
            if known is None or known.snapshot.target is not snapshot.target:
                known = self._render(snapshot)
            elif known.snapshot is not snapshot:
                labels = known.labels
                if _taught_nothing(known.snapshot, snapshot):
                    held = known.pieces[-_FIXED - _LEARNED :]
                else:
                    held = _learned(snapshot, labels) + known.pieces[-_FIXED:]
                pieces = _varying(snapshot, labels) + held
                seconds, maintained = known.seconds, known.maintained
                if not _is_counted_alike(known.snapshot.availability, snapshot.availability):
                    seconds = _seconds(snapshot.availability, labels)
                    maintained = _maintained(snapshot, labels)
                known = _Rendered(snapshot, labels, pieces, seconds, maintained)
            new[name] = known
        self._cache = new
        return new.values()

    def _render(self, snapshot: TargetSnapshot) -> _Rendered:
        target = snapshot.target
        labels = labels_block(("target", "plugin"), (target.name, target.plugin_name))
        held = _learned(snapshot, labels) + _fixed(target, labels)
        seconds = _seconds(snapshot.availability, labels)
        maintained = _maintained(snapshot, labels)
        return _Rendered(snapshot, labels, _varying(snapshot, labels) + held, seconds, maintained)

    def _monitor_families(self) -> Iterator[tuple[Instrument, Rows]]:
        yield from state_rows(self._state)
        beat = self._state.scheduler_beat
        yield of_monitor.SCHEDULER_BEAT_AGE, [((), max(0.0, self._monotonic() - beat))] if beat else []
        yield of_monitor.READY, [((), int(self._state.ready))]
        yield of_monitor.RELOAD_TIMESTAMP, [((), self._state.config.loaded_at)]
        shard = self._state.shard
        yield of_monitor.SHARD_INFO, _shard_rows(shard)
        yield of_monitor.CONFIGURED_TARGETS, [((), self._state.configured)] if shard is not None else []
        yield of_monitor.BUILD_INFO, [((self._version,), 1)]


def _shard_rows(shard: Shard | None) -> Rows:
    return [] if shard is None else [((str(shard.index), str(shard.count), str(shard.replicas)), 1)]


def _encode(text: str) -> bytes:
    # Surrogates cannot be encoded, and one odd label value must not cost the whole page.
    return text.encode("utf-8", "replace")


def _family(instrument: Instrument, rows: Rows, *, openmetrics: bool) -> bytes:
    lines = [
        f"{instrument.name}{labels_block(instrument.labels, values)} {value}\n" for values, value in rows
    ]
    return _encode(header(instrument, openmetrics=openmetrics) + "".join(lines)) if lines else b""
