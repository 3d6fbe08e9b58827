"""The log of events: one line for each change of a target's status, and for others an operator acts upon."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import structlog

from floe_monitor.domain.events import (
    Acted,
    ConfigReloaded,
    ConnectivityLost,
    ConnectivityRegained,
    LateReturn,
    MaintenanceBegan,
    MaintenanceEnded,
    ProbeFinished,
    ProfileReconciled,
    ShortageBegan,
    ShortageEnded,
    TargetHung,
    TargetStale,
    TickSkipped,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.timestamps import moment
from floe_monitor.telemetry.logs import get_logger
from floe_monitor.telemetry.rate_limit import Daily, RateLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from floe_monitor.domain.events import Event, ProbeResult
    from floe_monitor.settings.models import LogSettings

NAMES_SHOWN = 20
"""Targets or problems named in one line; the rest are counted."""

_OF_STATUS = {
    HealthStatus.UNKNOWN: logging.WARNING,
    HealthStatus.HEALTHY: logging.INFO,
    HealthStatus.DEGRADED: logging.WARNING,
    HealthStatus.UNHEALTHY: logging.ERROR,
}
_OF_PROFILE = {
    "written": logging.INFO,
    "unchanged": logging.DEBUG,
    "foreign_owner": logging.WARNING,
    "refused": logging.ERROR,
    "failed": logging.ERROR,
}


def _some(names: tuple[str, ...]) -> list[str]:
    rest = len(names) - NAMES_SHOWN
    return [*names[:NAMES_SHOWN], *([f"and {rest} more"] if rest > 0 else [])]


class LogSink:
    """Writes events as lines. Make it after `configure_logging`."""

    name = "log"

    def __init__(self, settings: LogSettings) -> None:
        self._probes = settings.probes
        self._log = get_logger()
        self._audit = structlog.wrap_logger(
            None, wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET)
        ).bind()
        self._profiles: dict[str, tuple[str, str]] = {}
        self._limit = RateLimit()
        self._daily = Daily()
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ProbeFinished: self._finished,
            TickSkipped: self._skipped,
            ShortageBegan: self._short,
            ShortageEnded: self._short_no_more,
            LateReturn: self._late,
            TargetStale: self._stale,
            TargetHung: self._hung,
            ConnectivityLost: self._cut_off,
            ConnectivityRegained: self._reached_again,
            MaintenanceBegan: self._maintenance_began,
            MaintenanceEnded: self._maintenance_ended,
            ConfigReloaded: self._reloaded,
            ProfileReconciled: self._reconciled,
            Acted: self._acted,
        }

    def handle(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    def _finished(self, event: ProbeFinished) -> None:
        change = event.transition
        if change is not None:
            self._log.log(
                _OF_STATUS[change.after],
                f"target {event.result.target} is {change.after.word}",
                before=change.before.word,
                after=change.after.word,
                before_lasted_seconds=round(change.lasted, 3),
                **_of_result(event.result),
            )
        if self._probes:
            self._log.info("probe finished", **_of_result(event.result))
        self._warn_of_expiries(event.result)

    def _warn_of_expiries(self, result: ProbeResult) -> None:
        now = result.finished_at
        for expiry in result.expiries:
            if expiry.is_near(now) and self._daily.admit((result.target, expiry.what), expiry.at):
                self._log.warning(
                    f"target {result.target}: {expiry.warning(now)}",
                    target=result.target,
                    plugin=result.plugin,
                    what=expiry.what.value,
                    expires_at=moment(expiry.at),
                )

    def _skipped(self, event: TickSkipped) -> None:
        self._log.debug(
            "tick skipped", target=event.target, plugin=event.plugin, reason=event.reason, count=event.count
        )

    def _limited(self, level: int, text: str, kind: Hashable = None, **fields: object) -> None:
        """For what a client's request or a repeated failure may cause without end."""
        withheld = self._limit.admit((text, kind))
        if withheld is not None:
            self._log.log(level, text, **fields, **({"withheld": withheld} if withheld else {}))

    def _short(self, event: ShortageBegan) -> None:
        self._limited(logging.ERROR, f"{event.what}: probes that need it are skipped")

    def _short_no_more(self, event: ShortageEnded) -> None:
        lasted = round(event.lasted, 3)
        self._limited(logging.INFO, "the monitor is short of nothing any more", lasted_seconds=lasted)

    def _late(self, event: LateReturn) -> None:
        self._limited(
            logging.INFO,
            "stuck worker returned",
            event.target,
            target=event.target,
            plugin=event.plugin,
            overdue_seconds=round(event.overdue, 3),
        )

    def _stale(self, event: TargetStale) -> None:
        self._log.warning(
            f"target {event.target} is unknown: no probe of it could run",
            target=event.target,
            plugin=event.plugin,
            silent_seconds=round(event.silent, 3),
        )

    def _hung(self, event: TargetHung) -> None:
        change = event.transition
        self._log.log(
            _OF_STATUS[change.after],
            f"target {event.target} is {change.after.word}: its validation still hangs",
            target=event.target,
            plugin=event.plugin,
            before=change.before.word,
            after=change.after.word,
            before_lasted_seconds=round(change.lasted, 3),
        )

    def _cut_off(self, event: ConnectivityLost) -> None:
        what = "no target on the network is reached: the monitor's own connectivity"
        self._log.error(what, targets=event.targets)

    def _reached_again(self, event: ConnectivityRegained) -> None:
        lasted = round(event.lasted, 3)
        self._log.info("targets on the network are reached again", lasted_seconds=lasted)

    def _maintenance_began(self, event: MaintenanceBegan) -> None:
        fields = {"reason": event.reason} if event.reason else {}
        until = moment(event.until)
        self._log.info("maintenance began", targets=_some(event.targets), until=until, **fields)

    def _maintenance_ended(self, event: MaintenanceEnded) -> None:
        fields = {"reason": event.reason} if event.reason else {}
        since = moment(event.since)
        self._log.info("maintenance ended", targets=_some(event.targets), since=since, **fields)

    def _reloaded(self, event: ConfigReloaded) -> None:
        if not event.problems:
            for name in event.removed:
                self._daily.forget(name)
            waiting = {"waiting_for_restart": list(event.waiting)} if event.waiting else {}
            self._limited(
                logging.INFO,
                "configuration loaded",
                (event.added, event.changed, event.removed, event.waiting),
                added=_some(event.added),
                changed=_some(event.changed),
                removed=_some(event.removed),
                **waiting,
            )
            return
        for problem in event.problems[:NAMES_SHOWN]:
            count = len(event.problems)
            self._limited(logging.ERROR, "configuration refused", problem, problem=problem, problems=count)

    def _acted(self, event: Acted) -> None:
        """Whatever the level is. Refused ones may come without end, and are counted beyond a few."""
        fields = {
            "action": event.action,
            "target": event.target,
            "by": event.by,
            "client": event.client,
            "outcome": event.outcome,
            "http_status": event.status,
        }
        fields = {key: value for key, value in fields.items() if value is not None}
        if event.outcome != "refused":
            self._audit.info("audit", **fields)
            return
        withheld = self._limit.admit(("audit", event.client))
        if withheld is not None:
            self._audit.warning("audit", **fields, **({"withheld": withheld} if withheld else {}))

    def _reconciled(self, event: ProfileReconciled) -> None:
        """Profiles are compared every few seconds: what has not changed since is not repeated."""
        outcome = (event.result, event.message)
        repeated = self._profiles.get(event.profile) == outcome and event.result != "written"
        self._profiles[event.profile] = outcome
        if not repeated:
            details = {"message": event.message} if event.message else {}
            self._log.log(
                _OF_PROFILE[event.result], f"profile {event.result}", profile=event.profile, **details
            )


def _of_result(result: ProbeResult) -> dict[str, object]:
    fields: dict[str, object] = {
        "target": result.target,
        "plugin": result.plugin,
        "status": result.status.value,
        "duration_ms": round(result.duration * 1000, 3),
        "error_type": result.error_type.value if result.error_type else None,
        "message": result.message or None,
        "warnings": list(result.warnings) or None,
        "correlation_id": result.correlation_id,
        "trace_id": result.trace_id,
        "span_id": result.span_id,
    }
    return {key: value for key, value in fields.items() if value is not None}
