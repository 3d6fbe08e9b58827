"""Compares the incidents there are with those a channel was told: each is told once, and once its end.

By what is now and not by what happens: nothing is told twice because the monitor started anew, and nothing is
left out because an event was lost. Pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.plurals import counted
from floe_monitor.notifications.ledger import NotifiedIncident
from floe_monitor.notifications.notice import MESSAGE_KEPT, NAMES_KEPT, Notice, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.domain.incidents import Incident
    from floe_monitor.notifications.ledger import Ledger
    from floe_monitor.notifications.observation import Observation, Rule

_BY_CONNECTION = (ErrorType.CONNECTION, ErrorType.TIMEOUT)


@dataclass(slots=True)
class _Members:
    """Of an open incident, as far as the channel hears of them. `failing` are out of maintenance."""

    all: list[str]
    failing: list[str]
    level: HealthStatus


class IncidentNotices:
    """One comparison. `notified` and `waiting` are then what the ledger is to have."""

    def __init__(self, rule: Rule, ledger: Ledger, seen: Observation, *, behind: bool) -> None:
        """`behind`: messages wait to be sent, so that a reminder would say nothing new."""
        self._rule, self._seen, self._behind = rule, seen, behind
        self._before = ledger.waiting
        self.notified = dict(ledger.incidents)
        self.waiting: dict[str, float] = {}
        self.notices: list[Notice] = []
        self._notified_of = {name: each.id for each in self.notified.values() for name in each.open}

    def compare(self) -> None:
        for incident in self._seen.incidents:
            members = self._members(incident)
            known = self._known(incident, members)
            if not members.failing:
                continue
            if known is None:
                self._consider(incident, members)
            else:
                self._go_on(incident, members, known)
        for each in list(self.notified.values()):
            self._look_whether_over(each)

    def _members(self, incident: Incident) -> _Members:
        targets = self._seen.targets
        lasting = [
            name
            for name, member in incident.members.items()
            if member.ended_at is None and self._rule.covers(targets.get(name))
        ]
        failing = [
            name
            for name in lasting
            if targets[name].maintenance is None and targets[name].status >= HealthStatus.DEGRADED
        ]
        level = max((targets[name].status for name in failing), default=HealthStatus.UNKNOWN)
        return _Members(lasting, failing, level)

    def _known(self, incident: Incident, members: _Members) -> NotifiedIncident | None:
        """What was told of it. Under another id where a former process, another monitor, or the same targets
        a moment ago had it: at least half of its targets are then among those told."""
        names = {self._notified_of[name] for name in members.all if name in self._notified_of}
        if incident.id in self.notified:
            whole = self.notified[incident.id]
            for other in sorted(names - {incident.id}):
                whole = self._merged(whole, self.notified.pop(other))
            joined = tuple(dict.fromkeys((*whole.open, *members.failing)))
            if joined != whole.open:
                whole = replace(whole, open=joined, total=whole.total + len(joined) - len(whole.open))
            return self._keep(whole)
        if not names or 2 * sum(name in self._notified_of for name in members.all) < len(members.all):
            return None
        first, *others = sorted(
            (self.notified[each] for each in names), key=lambda notified: (notified.notified_at, notified.id)
        )
        for notified in others:
            first = self._merged(first, self.notified.pop(notified.id))
        return self._keep(first)

    def _merged(self, one: NotifiedIncident, other: NotifiedIncident) -> NotifiedIncident:
        return replace(
            one,
            level=max(one.level, other.level),
            notified_at=max(one.notified_at, other.notified_at),
            open=tuple(dict.fromkeys((*one.open, *other.open))),
            total=one.total + other.total,
            targets=tuple(dict.fromkeys((*one.targets, *other.targets)))[:NAMES_KEPT],
            became=(*one.became, other.id, *other.became),
        )

    def _keep(self, notified: NotifiedIncident) -> NotifiedIncident:
        self.notified[notified.id] = notified
        self._notified_of.update(dict.fromkeys(notified.open, notified.id))
        return notified

    def _consider(self, incident: Incident, members: _Members) -> None:
        """Tell it, once it was there for as long as what belongs to it is waited for."""
        if not self._rule.tells(members.level) or self._may_be_our_own(incident, members):
            return
        since = min(self._before.get(incident.id, self._seen.at), self._seen.at)
        self.waiting[incident.id] = since
        if self._seen.at - since < self._rule.group_wait:
            return
        del self.waiting[incident.id]
        became = self._take_over(members.failing)
        notified = self._keep(
            NotifiedIncident(
                id=incident.id,
                began_at=incident.began_at,
                level=members.level,
                first_notified_at=self._seen.at,
                notified_at=self._seen.at,
                open=tuple(members.failing),
                total=len(members.failing),
                targets=tuple(members.failing[:NAMES_KEPT]),
                cause=_cause(incident, members),
                count=0,
                became=became,
            )
        )
        self._notify(incident, members, notified)

    def _may_be_our_own(self, incident: Incident, members: _Members) -> bool:
        """That the monitor is cut off is told instead, where the channel hears of the monitor."""
        if not self._seen.cut_off or "monitor" not in self._rule.events:
            return False
        return all(incident.members[name].latest_error in _BY_CONNECTION for name in members.failing)

    def _take_over(self, names: Iterable[str]) -> tuple[str, ...]:
        """Targets that were told of for another reason, and are of a greater incident now. The ids of what is
        left without any."""
        moved, became = set(names), []
        for identity in {self._notified_of[name] for name in moved if name in self._notified_of}:
            left = tuple(name for name in self.notified[identity].open if name not in moved)
            if left:
                self.notified[identity] = replace(self.notified[identity], open=left)
            else:
                became += [identity, *self.notified.pop(identity).became]
        return tuple(became)

    def _go_on(self, incident: Incident, members: _Members, notified: NotifiedIncident) -> None:
        if not self._rule.tells(members.level):
            return
        if members.level > notified.level:
            self._notify(incident, members, notified)
            return
        repeat = self._rule.repeat
        if repeat is not None and not self._behind and self._seen.at - notified.notified_at >= repeat:
            self._notify(incident, members, notified)

    def _notify(self, incident: Incident, members: _Members, notified: NotifiedIncident) -> None:
        reason = next((each for each in reversed(incident.reasons) if each.target in members.failing), None)
        number = notified.count
        repeated = number > 0 and members.level <= notified.level
        cause = _cause(incident, members)
        self.notices.append(
            Notice(
                key=self._key(notified, members.level.word),
                event="unhealthy" if members.level is HealthStatus.UNHEALTHY else "degraded",
                at=self._seen.at,
                subject=notified.id,
                headline=_headline(members, cause, still=repeated),
                status=members.level.word,
                cause=cause,
                error_type="" if reason is None or reason.error_type is None else reason.error_type.value,
                message="" if reason is None else reason.message[:MESSAGE_KEPT],
                targets=tuple(members.failing[:NAMES_KEPT]),
                targets_total=len(members.failing),
                began_at=notified.began_at,
                reminder=number if repeated else 0,
            )
        )
        self.notified[notified.id] = replace(
            notified,
            level=max(notified.level, members.level),
            notified_at=self._seen.at,
            cause=cause or notified.cause,
            count=number + 1,
        )

    def _look_whether_over(self, notified: NotifiedIncident) -> None:
        targets, at = self._seen.targets, self._seen.at
        lasting = tuple(
            name
            for name in notified.open
            if name in targets and targets[name].status is not HealthStatus.HEALTHY
        )
        if lasting:
            if notified.clear_since is not None or lasting != notified.open:
                self.notified[notified.id] = replace(notified, open=lasting, clear_since=None)
            return
        since = at if notified.clear_since is None else min(notified.clear_since, at)
        if at - since < self._rule.recovery_wait:
            self.notified[notified.id] = replace(notified, clear_since=since)
            return
        del self.notified[notified.id]
        if "recovered" in self._rule.events:
            self.notices.append(self._ended(notified, since))

    def _key(self, notified: NotifiedIncident, event: str) -> str:
        """An incident may be told anew after its end: a target comes out of maintenance, and still fails."""
        return key_of(
            self._rule.channel, f"{notified.id}@{notified.first_notified_at:.3f}", event, notified.count
        )

    def _ended(self, notified: NotifiedIncident, since: float) -> Notice:
        there = [self._seen.targets[name].since for name in notified.open if name in self._seen.targets]
        gone = not there
        what = (
            notified.targets[0]
            if notified.total == 1 and notified.targets
            else counted(notified.total, "target")
        )
        verb = "is" if notified.total == 1 else "are"
        ended = f"{verb} not watched here any more" if gone else f"{verb} healthy again"
        return Notice(
            key=self._key(notified, "recovered"),
            event="recovered",
            at=self._seen.at,
            subject=notified.id,
            headline=f"{what} {ended}",
            status="" if gone else HealthStatus.HEALTHY.word,
            cause=notified.cause,
            targets=notified.targets,
            targets_total=notified.total,
            began_at=notified.began_at,
            ended_at=max(there, default=since),
            ends=(notified.id, *notified.became),
        )


def _cause(incident: Incident, members: _Members) -> str:
    """Of an incident of several; where the channel hears of one target alone, its own reason says more."""
    cause = incident.cause if len(members.all) > 1 else None
    return "" if cause is None else f"{cause.kind} {cause.name}"


def _headline(members: _Members, cause: str, *, still: bool) -> str:
    count = len(members.failing)
    what = members.failing[0] if count == 1 else counted(count, "target")
    verb = "is" if count == 1 else "are"
    after = f": {cause}" if cause else ""
    return f"{what} {verb} {'still ' if still else ''}{members.level.word}{after}"
