"""The lines of some targets, kept until something changes that they show.

A page has twenty lines for each target, and of a target that is well most of them say at each scrape what
they said at the last one. What is kept is therefore divided by what changes it: the configuration, what a
validation learned of the server, the verdict, the result, the clock. Lines are kept as bytes, of several
targets together: a page is then joined of few pieces.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.health import HealthStatus
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.state_metrics import error_type_of, took_by_check, worst_by_check
from floe_monitor.telemetry.text_format import encode, escape, labels_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.availability import Availability
    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.state import TargetSnapshot

SIZE = 64
"""Targets in a block: one change among them renders the lines of its kind for all."""

KEPT = (
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
    of_targets.TARGET_WAKE_DURATION,
    of_targets.TARGET_INFO,
    of_targets.TARGET_INTERVAL,
    of_targets.TARGET_OBJECTIVE,
)
"""In the page's order. Two more count with the clock."""
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
    _WAKE_DURATION,
    _INFO,
    _INTERVAL,
    _OBJECTIVE,
) = (instrument.name for instrument in KEPT)
_SECONDS = of_targets.TARGET_RESULT_SECONDS.name
_MAINTAINED = of_targets.TARGET_MAINTENANCE_SECONDS.name


class _Counting:
    """Counters of seconds. Those that stand still are lines; of one in force there are its start, and what
    its value is beyond the clock's time."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.running: list[tuple[str, float]] = []
        self._encoded = b""

    def close(self) -> None:
        self._encoded = encode("".join(self.settled))
        self.settled.clear()

    def at(self, now: float) -> bytes:
        return self._encoded + encode(
            "".join([f"{start}{now + offset:.3f}\n" for start, offset in self.running])
        )


class TargetBlock:
    def __init__(self) -> None:
        self.lines: dict[str, bytes] = {}
        """By the name of each of `KEPT`."""
        self._snapshots: Sequence[TargetSnapshot] = ()
        self._labels: list[str] = []
        self._check_heads: list[tuple[str, ...]] = []
        """Of each target's checks: what the line of a duration begins with."""
        self._seconds = self._maintained = _Counting()

    def seconds(self, now: float) -> bytes:
        return self._seconds.at(now)

    def maintained(self, now: float) -> bytes:
        return self._maintained.at(now)

    def show(self, snapshots: Sequence[TargetSnapshot]) -> None:
        """Render what is not any more as it was shown."""
        before = self._snapshots
        self._snapshots = snapshots
        if len(before) != len(snapshots) or any(
            a.target is not b.target for a, b in zip(before, snapshots, strict=True)
        ):
            self._labels = [
                labels_block(("target", "plugin"), (each.target.name, each.target.plugin_name))
                for each in snapshots
            ]
            self._render_configured()
            self._render_learned()
            self._render_verdicts()
            self._render_results()
            self._render_counters()
            return
        changed = [(a, b) for a, b in zip(before, snapshots, strict=True) if a is not b]
        if not changed:
            return
        if not all(_taught_nothing(a, b) for a, b in changed):
            self._render_learned()
        if not all(_is_judged_alike(a, b) for a, b in changed):
            self._render_verdicts()
        if not all(_is_counted_alike(a.availability, b.availability) for a, b in changed):
            self._render_counters()
        self._render_results()

    def _render_configured(self) -> None:
        rows = [(labels, each.target) for labels, each in self._rows()]
        self._keep(_INTERVAL, [f"{_INTERVAL}{labels} {t.policy.longest_interval}\n" for labels, t in rows])
        self._keep(_OBJECTIVE, [f"{_OBJECTIVE}{labels} {t.objective / 100:.12g}\n" for labels, t in rows])

    def _render_learned(self) -> None:
        expiries = [
            (f'{labels[:-1]},what="{expiry.what.value}"}}', expiry)
            for labels, each in self._rows()
            for expiry in each.expiries
        ]
        self._keep(_EXPIRY, [f"{_EXPIRY}{block} {each.at:.0f}\n" for block, each in expiries])
        self._keep(
            _EXPIRY_WARNING,
            [f"{_EXPIRY_WARNING}{block} {each.lead:.12g}\n" for block, each in expiries if each.lead],
        )
        self._keep(
            _WAKE_DURATION,
            [
                f"{_WAKE_DURATION}{labels} {each.engine_start.seconds:.3f}\n"
                for labels, each in self._rows()
                if each.engine_start.seconds is not None
            ],
        )
        self._keep(_INFO, [f"{_INFO}{_info_labels(each)} 1\n" for each in self._snapshots])

    def _render_verdicts(self) -> None:
        rows = self._rows()
        statuses = [(labels, each.status) for labels, each in rows]
        self._keep(_STATUS, [f"{_STATUS}{labels} {status.value}\n" for labels, status in statuses])
        self._keep(_UP, [f"{_UP}{labels} {_is_up(status)}\n" for labels, status in statuses])
        self._keep(_CHANGES, [f"{_CHANGES}{labels} {each.health.status_changes}\n" for labels, each in rows])
        self._keep(_ERROR, [_error_line(labels, each) for labels, each in rows])
        self._keep(
            _MAINTENANCE,
            [
                f"{_MAINTENANCE}{labels} {0 if each.maintenance is None else 1}\n"
                for labels, each in rows
                if each.maintenance is not None or each.target.windows
            ],
        )
        self._keep(
            _MAINTENANCE_END,
            [
                f"{_MAINTENANCE_END}{labels} {each.maintenance.until:.3f}\n"
                for labels, each in rows
                if each.maintenance is not None
            ],
        )
        self._check_heads, checks = [], []
        for labels, each in rows:
            start = f'{labels[:-1]},check="'
            worst = worst_by_check(each)
            blocks = [f'{start}{escape(name)}"}} ' for name in worst]
            checks += [
                f"{_CHECK}{block}{severity}\n" for block, severity in zip(blocks, worst.values(), strict=True)
            ]
            self._check_heads.append(
                () if each.stale else tuple([f"{_CHECK_DURATION}{block}" for block in blocks])
            )
        self._keep(_CHECK, checks)

    def _render_results(self) -> None:
        """For every result: nothing here may cost much."""
        rows = self._rows()
        lasts = [(labels, each.last) for labels, each in rows if each.last is not None]
        self._keep(
            _FAILURES, [f"{_FAILURES}{labels} {s.health.consecutive_failures}\n" for labels, s in rows]
        )
        self._keep(_DURATION, [f"{_DURATION}{labels} {last.duration}\n" for labels, last in lasts])
        self._keep(_VALIDATION, [f"{_VALIDATION}{labels} {last.finished_at:.3f}\n" for labels, last in lasts])
        self._keep(
            _SUCCESS,
            [
                f"{_SUCCESS}{labels} {each.last_success_at:.3f}\n"
                for labels, each in rows
                if each.last_success_at is not None
            ],
        )
        self._keep(
            _VALIDATIONS,
            [f"{_VALIDATIONS}{labels} {each.availability.results}\n" for labels, each in rows],
        )
        durations: list[str] = []
        for heads, each in zip(self._check_heads, self._snapshots, strict=True):
            if heads and each.last is not None:
                durations += [
                    f"{head}{took / 1000:.6f}\n"
                    for head, took in zip(heads, _took_by_check(each.last, len(heads)), strict=True)
                ]
        self._keep(_CHECK_DURATION, durations)

    def _render_counters(self) -> None:
        """A target has all series from the start: `rate()` does not see what a new counter begins with."""
        self._seconds, self._maintained = seconds, maintained = _Counting(), _Counting()
        for labels, each in self._rows():
            known = each.availability
            for status, settled in zip(ConnectionStatus, known.settled, strict=True):
                start = f'{_SECONDS}{labels[:-1]},status="{status.value}"}} '
                if status is known.current:
                    seconds.running.append((start, settled - known.since))
                else:
                    seconds.settled.append(f"{start}{settled:.3f}\n")
            since = known.maintained_since
            if since is not None:
                maintained.running.append((f"{_MAINTAINED}{labels} ", known.maintained - since))
            elif each.target.windows:
                maintained.settled.append(f"{_MAINTAINED}{labels} {known.maintained:.3f}\n")
        seconds.close()
        maintained.close()

    def _rows(self) -> list[tuple[str, TargetSnapshot]]:
        return list(zip(self._labels, self._snapshots, strict=True))

    def _keep(self, name: str, lines: list[str]) -> None:
        self.lines[name] = encode("".join(lines))


def _info_labels(snapshot: TargetSnapshot) -> str:
    target = snapshot.target
    named = {"target": target.name, "plugin": target.plugin_name, "dbt_type": target.adapter_type}
    if snapshot.server_address:
        named["server_address"] = snapshot.server_address
    named |= {f"label_{name}": value for name, value in sorted(target.labels.items())}
    return labels_block(named.keys(), named.values())


def _is_up(status: HealthStatus) -> int:
    return 1 if status is HealthStatus.HEALTHY or status is HealthStatus.DEGRADED else 0


def _error_line(labels: str, snapshot: TargetSnapshot) -> str:
    reason = None if snapshot.last is None or snapshot.stale else error_type_of(snapshot.last)
    return "" if reason is None else f'{_ERROR}{labels[:-1]},error_type="{reason.value}"}} 1\n'


def _took_by_check(result: ProbeResult, names: int) -> list[float]:
    """In the order of the first of each name, of which there are so many."""
    if len(result.checks) == names:
        return [check.latency_ms for check in result.checks]
    return list(took_by_check(result).values())


def _taught_nothing(before: TargetSnapshot, after: TargetSnapshot) -> bool:
    return (
        before.expiries is after.expiries
        and before.server_address == after.server_address
        and before.engine_start is after.engine_start
    )


def _is_judged_alike(before: TargetSnapshot, after: TargetSnapshot) -> bool:
    return (
        before.status is after.status
        and before.health.status_changes == after.health.status_changes
        and before.stale is after.stale
        and before.maintenance == after.maintenance
        and _found_alike(before.last, after.last)
    )


def _found_alike(before: ProbeResult | None, after: ProbeResult | None) -> bool:
    if before is after:
        return True
    if before is None or after is None or before.status is not after.status:
        return False
    if before.error_type is not after.error_type or len(before.checks) != len(after.checks):
        return False
    for a, b in zip(before.checks, after.checks, strict=True):
        if a.status is not b.status or a.name != b.name:
            return False
    return True


def _is_counted_alike(known: Availability, later: Availability) -> bool:
    return (
        known.settled is later.settled
        and known.latest is later.latest
        and known.maintained_since == later.maintained_since
    )
