"""From events to incidents: the step between whoever acts and whoever exports.

A target in maintenance begins none: what is wrong then is nobody's fault. One that was in one before stays in
it until it is well. What is not reached while the monitor itself is cut off is one incident, whatever hosts
the targets are on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.domain.connectivity import is_reached
from floe_monitor.domain.events import (
    ConfigReloaded,
    ConnectivityLost,
    ConnectivityRegained,
    IncidentChanged,
    MaintenanceEnded,
    ProbeFinished,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incidents import CONNECTIVITY, WINDOW, Member, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Event, ProbeResult, Publish
    from floe_monitor.domain.health import Transition
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.state import MonitorState, TargetSnapshot
    from floe_monitor.domain.targets import Target

MESSAGE_KEPT = 300
_HANGS = "the validation still hangs"


class IncidentRecorder:
    """Keeps `state.incidents` and passes every event on, each followed by what it did to incidents.

    Events that concern targets come from the event loop's thread; a healthy result of a healthy target costs
    one look-up.
    """

    def __init__(self, state: MonitorState, publish: Publish) -> None:
        self._state = state
        self._publish = publish
        self._cut_off: str | None = None
        """The incident of the monitor's own connectivity, while that is lost."""
        self._handlers: dict[type[Any], Callable[[Any], list[Incident]]] = {
            ProbeFinished: self._finished,
            TargetHung: self._hung,
            TargetStale: self._stale,
            ConfigReloaded: self._reloaded,
            MaintenanceEnded: self._maintenance_ended,
            ConnectivityLost: self._connectivity_lost,
            ConnectivityRegained: self._connectivity_regained,
        }

    def publish(self, event: Event) -> None:
        self._publish(event)
        handler = self._handlers.get(type(event))
        for incident in handler(event) if handler is not None else ():
            self._publish(IncidentChanged(incident))

    def _finished(self, event: ProbeFinished) -> list[Incident]:
        result, transition = event.result, event.transition
        if transition is not None:
            return self._moved(result.target, transition, result)
        log = self._state.incidents
        incident = log.of(result.target)
        if incident is None:
            return self._resumed(event)
        # One good result among bad ones says nothing of why.
        if result.error_type is None or event.health.status is HealthStatus.UNKNOWN:
            return []
        if incident.members[result.target].latest_error is result.error_type:
            return []
        reason = _reason(result.target, event.health.status, result.finished_at, result)
        return log.changed(result.target, event.health.status, reason)

    def _hung(self, event: TargetHung) -> list[Incident]:
        return self._moved(event.target, event.transition, None)

    def _moved(self, name: str, transition: Transition, result: ProbeResult | None) -> list[Incident]:
        log, after = self._state.incidents, transition.after
        if after is HealthStatus.HEALTHY:
            return log.left(name, transition.at)
        reason = _reason(name, after, transition.at, result)
        resumed = name in log and transition.before is HealthStatus.UNKNOWN
        snapshot = self._state.targets.get(name)
        if resumed or after < transition.before or (snapshot and snapshot.maintenance):
            return log.changed(name, after, reason)
        return [] if snapshot is None else self._worsened(snapshot, reason, result)

    def _resumed(self, event: ProbeFinished) -> list[Incident]:
        """It failed already when nothing began for it, which was in maintenance: the first result afterwards
        that says so does. Not all at once, when the maintenance of many ends."""
        result, status = event.result, event.health.status
        if status < HealthStatus.DEGRADED or result.status is ConnectionStatus.HEALTHY:
            return []
        snapshot = self._state.targets.get(result.target)
        if snapshot is None or snapshot.maintenance is not None:
            return []
        return self._worsened(snapshot, _reason(result.target, status, result.finished_at, result), result)

    def _worsened(
        self, snapshot: TargetSnapshot, reason: Reason, result: ProbeResult | None
    ) -> list[Incident]:
        log = self._state.incidents
        member = _member(snapshot.target, reason)
        if not self._state.reach.is_lost or result is None or is_reached(result) is not False:
            return log.worsened(member, reason)
        member = replace(member, resources=(*member.resources, CONNECTIVITY))
        changed = log.worsened(member, reason, self._cut_off)
        self._cut_off = changed[0].id
        return changed

    def _maintenance_ended(self, event: MaintenanceEnded) -> list[Incident]:
        """A validation that hangs brings no further result that could begin an incident."""
        changed: list[Incident] = []
        for name in event.targets:
            snapshot = self._state.targets.get(name)
            if snapshot is None or snapshot.last is None or snapshot.last.worker != "stuck":
                continue
            if snapshot.status >= HealthStatus.DEGRADED and name not in self._state.incidents:
                changed += self._worsened(snapshot, _reason(name, snapshot.status, event.at, None), None)
        return changed

    def _connectivity_lost(self, _: ConnectivityLost) -> list[Incident]:
        """Those that have just stopped being reached fail together; one that was not for longer has a reason
        of its own."""
        log = self._state.incidents
        unreached = {
            each.target.name: each.last.finished_at
            for each in self._state.view()
            if each.last is not None and is_reached(each.last) is False
        }
        now = max(unreached.values(), default=0.0)
        together = []
        for name in unreached:
            incident = log.of(name)
            member = None if incident is None else incident.members[name]
            if member is not None and now - member.worsened_at <= member.window:
                together.append(name)
        changed = log.united(together, CONNECTIVITY, now)
        self._cut_off = changed[0].id if changed else None
        return changed

    def _connectivity_regained(self, _: ConnectivityRegained) -> list[Incident]:
        self._cut_off = None
        return []

    def _stale(self, event: TargetStale) -> list[Incident]:
        return self._state.incidents.changed(event.target, HealthStatus.UNKNOWN)

    def _reloaded(self, event: ConfigReloaded) -> list[Incident]:
        """A changed target stays in its incident until its next results say whether that is over."""
        log = self._state.incidents
        changed = [each for name in event.changed for each in log.changed(name, HealthStatus.UNKNOWN)]
        affected = [name for name in event.removed if name in log]
        if affected:
            added = {
                self._state.targets[n].target.fingerprint for n in event.added if n in self._state.targets
            }
            for name in affected:
                incident = log.of(name)
                renamed = incident is not None and incident.members[name].fingerprint in added
                changed += log.left(name, event.at, "renamed" if renamed else "removed")
        return changed


def _member(target: Target, reason: Reason) -> Member:
    policy = target.policy
    return Member(
        target=target.name,
        plugin=target.plugin_name,
        began_at=reason.at,
        worsened_at=reason.at,
        status=reason.status,
        worst=reason.status,
        error_type=reason.error_type,
        latest_error=reason.error_type,
        resources=target.resources,
        window=max(WINDOW, policy.interval * policy.thresholds.failure + policy.timeout),
        fingerprint=target.fingerprint,
    )


def _reason(name: str, status: HealthStatus, at: float, result: ProbeResult | None) -> Reason:
    if result is None:
        return Reason(at, name, status, ErrorType.TIMEOUT, _HANGS)
    return Reason(at, name, status, result.error_type, result.message[:MESSAGE_KEPT])
