"""The incidents there are: which one a failure belongs to. What happened comes in with its times: no clock.

For one thread; others read `view()` and `find()`, whose incidents are never changed in place.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.incidents import (
    Incident,
    begin,
    incident_id,
    merge,
    with_member,
    with_resource,
    without_former_targets,
    without_member,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from floe_monitor.domain.incidents import EndReason, Member, Reason, Signature
    from floe_monitor.domain.resources import Resource

ENDED_KEPT = 200


@dataclass(frozen=True, slots=True)
class _Trail:
    """The last failure with one signature: what fails alike within the window is of the same incident."""

    incident: str
    at: float
    window: float


class IncidentLog:
    """Each method gives the incidents that it has changed, those that began or ended among them."""

    def __init__(self, kept: int = ENDED_KEPT) -> None:
        self._open: dict[str, Incident] = {}
        self._ended: deque[Incident] = deque(maxlen=kept)
        self._of: dict[str, str] = {}
        """The open incident of each target that is in one."""
        self._trails: dict[Signature, _Trail] = {}
        self._left_by: dict[str, set[Signature]] = {}
        """The keys of `_trails` by open incident."""

    def __contains__(self, target: str) -> bool:
        return target in self._of

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def view(self) -> tuple[Incident, ...]:
        """Open ones first, each part newest first; safe to walk in any thread."""
        return (*reversed(tuple(self._open.values())), *reversed(tuple(self._ended)))

    def find(self, identity: str) -> Incident | None:
        found = self._open.get(identity)
        return found or next((each for each in tuple(self._ended) if each.id == identity), None)

    def of(self, target: str) -> Incident | None:
        """The open incident that the target is in."""
        return self._open[self._of[target]] if target in self._of else None

    def restore(self, incidents: Iterable[Incident]) -> None:
        """What a former process has left, oldest first. Nothing that fails from now on joins it by what was
        seen then."""
        for incident in incidents:
            if not incident.is_open:
                self._ended.append(incident)
                continue
            self._keep(incident)
            self._of.update((name, incident.id) for name, m in incident.members.items() if m.ended_at is None)

    def worsened(self, member: Member, reason: Reason, beside: str | None = None) -> list[Incident]:
        """A status has changed for the worse: a new incident, or one more failure of one that is open.

        `beside`: the incident it belongs to, whenever the last of the others failed, if that is still open.
        """
        own = self.of(member.target)
        if own is not None:
            former = own.members[member.target]
            worst = max(former.worst, member.worst)
            member = replace(member, began_at=former.began_at, worst=worst)
        joined = {} if own is None else {own.id: own}
        joined.update((found.id, found) for found in self._alike(member))
        if beside is not None and beside in self._open:
            joined[beside] = self._open[beside]
        changed: list[Incident] = []
        if joined:
            whole, changed = self._merge(joined.values(), member.worsened_at)
            whole = with_member(whole, member, reason)
        else:
            whole = self._begun(member, reason)
        self._keep(whole)
        self._of[member.target] = whole.id
        self._leave_trails(whole.id, member)
        return [whole, *changed]

    def united(self, targets: Iterable[str], shared: Resource, at: float) -> list[Incident]:
        """What is wrong with these targets is one thing, which they are now known to share. The incident in
        which they are together comes first; targets in none are left out."""
        names = [name for name in targets if name in self._of]
        if not names:
            return []
        whole, changed = self._merge({(own := self._open[self._of[n]]).id: own for n in names}.values(), at)
        whole = self._keep(with_resource(whole, names, shared))
        for name in names:
            self._leave_trails(whole.id, whole.members[name])
        return [whole, *changed]

    def changed(self, target: str, status: HealthStatus, reason: Reason | None = None) -> list[Incident]:
        """A member goes on, with another status or for another reason."""
        incident = self.of(target)
        if incident is None:
            return []
        former = incident.members[target]
        error = former.latest_error if reason is None else reason.error_type
        member = replace(former, status=status, worst=max(former.worst, status), latest_error=error)
        return [self._keep(with_member(incident, member, reason))]

    def left(self, target: str, at: float, why: EndReason = "recovered") -> list[Incident]:
        """A member is healthy again, or not configured any more."""
        incident = self.of(target)
        if incident is None:
            return []
        del self._of[target]
        after = without_member(incident, target, at, why)
        if why != "recovered":
            after = without_former_targets(after)
        return [self._keep(after) if after.is_open else self._end(after)]

    def members(self) -> Collection[str]:
        """The targets that are in an open incident."""
        return tuple(self._of)

    def _begun(self, member: Member, reason: Reason) -> Incident:
        begun = begin(member, reason)
        number = 2
        while self.find(begun.id) is not None:  # the clock was set back, or results came in one millisecond
            begun = replace(begun, id=incident_id(f"{member.target}\0{number}", member.began_at))
            number += 1
        return begun

    def _alike(self, member: Member) -> Iterable[Incident]:
        for signature in sorted(member.signatures):
            trail = self._trails.get(signature)
            if trail is None:
                continue
            if abs(member.worsened_at - trail.at) <= max(trail.window, member.window):
                yield self._open[trail.incident]

    def _leave_trails(self, identity: str, member: Member) -> None:
        left = self._left_by.setdefault(identity, set())
        for signature in member.signatures:
            former = self._trails.get(signature)
            if former is not None and former.incident != identity:
                self._left_by[former.incident].discard(signature)
            window = member.window
            if former is not None and former.incident == identity:
                window = max(window, former.window)
            self._trails[signature] = _Trail(identity, member.worsened_at, window)
            left.add(signature)

    def _keep(self, incident: Incident) -> Incident:
        self._open[incident.id] = incident
        return incident

    def _end(self, incident: Incident) -> Incident:
        self._open.pop(incident.id, None)
        self._ended.append(incident)
        for signature in self._left_by.pop(incident.id, ()):
            del self._trails[signature]
        return incident

    def _merge(self, incidents: Iterable[Incident], at: float) -> tuple[Incident, list[Incident]]:
        whole, ended = merge(incidents, at)
        for each in ended:
            self._move(each, whole.id)
        return whole, ended

    def _move(self, ended: Incident, into: str) -> None:
        """What `ended` had open goes on in another incident."""
        former = self._open[ended.id]
        moved = self._left_by.pop(ended.id, set())
        for signature in moved:
            self._trails[signature] = replace(self._trails[signature], incident=into)
        self._left_by.setdefault(into, set()).update(moved)
        self._of.update((name, into) for name, m in former.members.items() if m.ended_at is None)
        self._end(ended)
