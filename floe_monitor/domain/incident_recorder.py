"""From events to incidents: the step between whoever acts and whoever exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.events import (
    ConfigReloaded,
    IncidentChanged,
    ProbeFinished,
    TargetHung,
    TargetStale,
)
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incidents import WINDOW, Member, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Event, ProbeResult, Publish
    from floe_monitor.domain.health import Transition
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.state import MonitorState
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
        self._handlers: dict[type[Any], Callable[[Any], list[Incident]]] = {
            ProbeFinished: self._finished,
            TargetHung: self._hung,
            TargetStale: self._stale,
            ConfigReloaded: self._reloaded,
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
        # One good result among bad ones says nothing of why.
        if incident is None or result.error_type is None or event.health.status is HealthStatus.UNKNOWN:
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
        if resumed or after < transition.before:
            return log.changed(name, after, reason)
        snapshot = self._state.targets.get(name)
        if snapshot is None:
            return []
        return log.worsened(_member(snapshot.target, transition, reason), reason)

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


def _member(target: Target, transition: Transition, reason: Reason) -> Member:
    policy = target.policy
    return Member(
        target=target.name,
        plugin=target.plugin_name,
        began_at=transition.at,
        worsened_at=transition.at,
        status=transition.after,
        worst=transition.after,
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
