"""Incidents: what went wrong together, from when to when, and why. Values, and pure functions over them.

A member is a target from its change for the worse until it is healthy again, or no longer configured. Members
that share what explains their failure are of one incident; it ends with its last member.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping  # noqa: TC003 - pydantic reads it when an incident is restored
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.resources import Resource, ResourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Signature = tuple[ErrorType, Resource]

WINDOW = 120.0
"""Seconds within which a target must fail after another to be of the same incident, at least."""

REASONS_KEPT = 20
MEMBERS_KEPT = 200
"""Of an incident that has ended."""

EndReason = Literal["recovered", "removed", "renamed", "merged"]
"""`removed`, `renamed`: no member is configured under its name any more; `merged`: it goes on in another."""

EXPLAINED_BY: dict[ErrorType, tuple[ResourceKind, ...]] = {
    ErrorType.TIMEOUT: ("connectivity", "host", "catalog", "warehouse"),
    ErrorType.CONNECTION: ("host", "catalog"),
    ErrorType.AUTHENTICATION: ("credential", "host", "catalog"),
    ErrorType.PERMISSION: ("credential", "warehouse", "catalog", "host"),
    ErrorType.CONFIGURATION: ("credential",),
    ErrorType.QUERY: ("warehouse", "host", "catalog"),
    ErrorType.EXTENSION: ("host",),
    ErrorType.CATALOG: ("catalog", "credential", "host"),
    ErrorType.PLUGIN: ("plugin",),
}
"""What a shared failure of that type can lie in, likeliest first: a shared password explains no refused
connection."""

CONNECTIVITY = Resource("connectivity", "floe-monitor")
"""What targets share that are not reached while the monitor itself is cut off (`domain/connectivity.py`)."""

_REACHING = {ErrorType.CONNECTION: ErrorType.TIMEOUT}
"""A host that is down refuses some and lets others wait. By the one that more can explain."""


@dataclass(frozen=True, slots=True)
class Reason:
    """What was wrong with a target from `at` (Unix time) on."""

    at: float
    target: str
    status: HealthStatus
    error_type: ErrorType | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """A target in an incident. `worsened_at` is its last change for the worse, `error_type` why it changed.

    `ended_at` is None while its failure lasts.

    `fingerprint` finds a target that was renamed; `window` is how long after another's its failure may be
    seen, with its own pace of probes.
    """

    target: str
    plugin: str
    began_at: float
    worsened_at: float
    status: HealthStatus
    worst: HealthStatus
    error_type: ErrorType | None = None
    latest_error: ErrorType | None = None
    resources: tuple[Resource, ...] = ()
    window: float = WINDOW
    fingerprint: str = ""
    ended_at: float | None = None
    end: EndReason | None = None

    @property
    def signatures(self) -> frozenset[Signature]:
        """What it fails by and may share: members with a common one fail alike."""
        found: set[Signature] = set()
        if self.error_type is not None:
            kinds = EXPLAINED_BY[self.error_type]
            alike = _REACHING.get(self.error_type, self.error_type)
            found = {(alike, shared) for shared in self.resources if shared.kind in kinds}
        if CONNECTIVITY in self.resources:  # whatever the driver made of it
            found.add((ErrorType.TIMEOUT, CONNECTIVITY))
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Incident:
    """`members` by name of target, in the order in which they joined; never changed in place."""

    id: str
    began_at: float
    members: Mapping[str, Member]
    reasons: tuple[Reason, ...] = ()
    reasons_dropped: int = 0
    members_total: int = 1
    lasting: int = 1
    """Members whose failure has not ended."""
    worst: HealthStatus = HealthStatus.UNKNOWN
    ended_at: float | None = None
    end: EndReason | None = None
    merged_into: str | None = None

    @property
    def is_open(self) -> bool:
        return self.ended_at is None

    @property
    def status(self) -> HealthStatus:
        """The worst of the members now; of one that has ended, the worst there was."""
        if not self.is_open:
            return self.worst
        return max(member.status for member in self.members.values() if member.ended_at is None)

    @property
    def cause(self) -> Resource | None:
        """What most members share that explains how they fail, of several the likeliest; None where each
        fails on its own. Looks at every member."""
        counted = Counter(each for member in self.members.values() for each in member.signatures)
        shared = [(-count, signature) for signature, count in counted.items() if count > 1]
        return min(shared, key=_likelihood)[1][1] if shared else None


def incident_id(target: str, at: float) -> str:
    """The same wherever the same failure is seen at the same moment; safe in an address."""
    return hashlib.blake2b(f"{at:.3f}\0{target}".encode("utf-8", "replace"), digest_size=8).hexdigest()


def begin(member: Member, reason: Reason) -> Incident:
    return Incident(
        id=incident_id(member.target, member.began_at),
        began_at=member.began_at,
        members={member.target: member},
        reasons=(reason,),
        worst=member.worst,
    )


def with_member(incident: Incident, member: Member, reason: Reason | None = None) -> Incident:
    """With `member` new, or in place of what it was; `reason` is noted."""
    former = incident.members.get(member.target)
    changed = replace(
        incident,
        members={**incident.members, member.target: member},
        members_total=incident.members_total + (former is None),
        lasting=incident.lasting + (former is None or former.ended_at is not None),
        worst=max(incident.worst, member.worst),
    )
    return changed if reason is None else _with_reasons(changed, (*changed.reasons, reason))


def merge(incidents: Iterable[Incident], at: float) -> tuple[Incident, list[Incident]]:
    """They are one from `at` on: the one that began first, with all members, and the others, ended."""
    first, *others = sorted(incidents, key=lambda incident: (incident.began_at, incident.id))
    if not others:
        return first, []
    members = dict(first.members)
    for other in others:
        members.update(other.members)
    whole = replace(
        first,
        members=members,
        members_total=len(members),
        lasting=sum(member.ended_at is None for member in members.values()),
        worst=max(first.worst, *(other.worst for other in others)),
        reasons_dropped=first.reasons_dropped + sum(other.reasons_dropped for other in others),
    )
    reasons = [*first.reasons, *(reason for other in others for reason in other.reasons)]
    ended = [_ended(replace(other, merged_into=whole.id), at, "merged") for other in others]
    return _with_reasons(whole, sorted(reasons, key=lambda reason: reason.at)), ended


def with_resource(incident: Incident, targets: Iterable[str], shared: Resource) -> Incident:
    """These members share something more than their configuration says."""
    members = dict(incident.members)
    for name in targets:
        member = members[name]
        if shared not in member.resources:
            members[name] = replace(member, resources=(*member.resources, shared))
    return replace(incident, members=members)


def without_member(incident: Incident, target: str, at: float, why: EndReason) -> Incident:
    """Its failure has ended; the incident with it, if it was the last."""
    member = incident.members[target]
    status = HealthStatus.HEALTHY if why == "recovered" else member.status
    left = replace(member, status=status, ended_at=at, end=why)
    changed = replace(incident, members={**incident.members, target: left}, lasting=incident.lasting - 1)
    if changed.lasting:
        return changed
    # Those no longer configured say nothing of whether the fault is over; one that recovered does.
    recovered = any(each.end == "recovered" for each in changed.members.values())
    return _ended(changed, at, "recovered" if recovered else why)


def without_former_targets(incident: Incident) -> Incident:
    """Of members that are not configured any more no more than `MEMBERS_KEPT` are kept, the newest."""
    former = [name for name, member in incident.members.items() if member.end in ("removed", "renamed")]
    dropped = set(former[:-MEMBERS_KEPT])
    if not dropped:
        return incident
    return replace(
        incident, members={name: each for name, each in incident.members.items() if name not in dropped}
    )


def _ended(incident: Incident, at: float, why: EndReason) -> Incident:
    members = dict(list(incident.members.items())[:MEMBERS_KEPT])
    return replace(incident, members=members, lasting=0, ended_at=at, end=why)


def _with_reasons(incident: Incident, reasons: Sequence[Reason]) -> Incident:
    """The first of them are kept, and the newest."""
    over = len(reasons) - REASONS_KEPT
    if over <= 0:
        return replace(incident, reasons=tuple(reasons))
    half = REASONS_KEPT // 2
    kept = (*reasons[:half], *reasons[-half:])
    return replace(incident, reasons=kept, reasons_dropped=incident.reasons_dropped + over)


def _likelihood(counted: tuple[int, Signature]) -> tuple[int, int, Resource]:
    count, (error_type, resource) = counted
    return count, EXPLAINED_BY[error_type].index(resource.kind), resource
