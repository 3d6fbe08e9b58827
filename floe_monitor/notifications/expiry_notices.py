"""Compares the ends that are near with those a channel was told: each when it is near, a day before, and when
it has come. What several targets share ends for all of them in one notice. Pure.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from floe_monitor.compute.models import ConnectionStatus
from floe_monitor.domain.plurals import counted
from floe_monitor.notifications.ledger import NotifiedExpiry
from floe_monitor.notifications.notice import NAMES_KEPT, Notice, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.domain.expiry import WatchedExpiry
    from floe_monitor.domain.state import TargetSnapshot
    from floe_monitor.notifications.ledger import Ledger
    from floe_monitor.notifications.observation import Observation, Rule

DAY = 86_400.0
SAME_SECONDS = 3_600.0
"""Ends nearer to one another are the same: some servers tell how long there is left, to the second."""


def expiry_notices(
    rule: Rule, ledger: Ledger, seen: Observation
) -> tuple[Mapping[str, NotifiedExpiry], list[Notice]]:
    """What is told then, and the notices."""
    if "expiry" not in rule.events:
        return {}, []
    if not seen.with_expiries:
        return ledger.expiries, []
    notified = _still(ledger.expiries, seen)
    grouped: dict[tuple[str, int, int], list[tuple[str, WatchedExpiry]]] = defaultdict(list)
    for name, expiry in _near(rule, seen):
        stage = _stage(expiry, seen.at)
        key, known = _key(name, expiry), notified.get(_key(name, expiry))
        if known is not None and known.stage >= stage and _is_same(known, expiry, seen.at):
            continue
        notified[key] = NotifiedExpiry(expiry.at, stage, seen.at)
        grouped[expiry.warning(seen.at), round(expiry.at), stage].append((name, expiry))
    return notified, [
        _notice(rule, seen.at, text, stage, found) for (text, _, stage), found in grouped.items()
    ]


def _is_same(notified: NotifiedExpiry, expiry: WatchedExpiry, now: float) -> bool:
    """A token that is replaced every hour, and is always near its end, is told of once a day."""
    return abs(notified.at - expiry.at) <= SAME_SECONDS or 0 <= now - notified.notified_at < DAY


def _near(rule: Rule, seen: Observation) -> Iterator[tuple[str, WatchedExpiry]]:
    for name, snapshot in seen.targets.items():
        if not snapshot.expiries or snapshot.maintenance is not None or not rule.covers(snapshot):
            continue
        for expiry in snapshot.expiries:
            if expiry.is_near(seen.at):
                yield name, expiry


def _still(notified: Mapping[str, NotifiedExpiry], seen: Observation) -> dict[str, NotifiedExpiry]:
    """Without those that are known to have been put off, and those of targets that are gone."""
    return {key: each for key, each in notified.items() if not _is_settled(key, each, seen)}


def _is_settled(key: str, notified: NotifiedExpiry, seen: Observation) -> bool:
    name = key.split("|", 1)[0]
    snapshot = seen.targets.get(name)
    if snapshot is None:
        return True
    current = [each for each in snapshot.expiries if _key(name, each) == key]
    if current:
        return all(not each.is_near(seen.at) for each in current) and current[0].at > notified.at
    return _has_answered(snapshot)


def _has_answered(snapshot: TargetSnapshot) -> bool:
    """Whether a validation has come to where it would have learned of the end."""
    last = snapshot.last
    return not snapshot.awaited and last is not None and last.status is not ConnectionStatus.UNHEALTHY


def _key(name: str, expiry: WatchedExpiry) -> str:
    """Names of targets have no `|`."""
    return f"{name}|{expiry.what.value}|{expiry.of}"


def _stage(expiry: WatchedExpiry, now: float) -> int:
    left = expiry.at - now
    if left <= 0:
        return 3
    return 2 if left <= DAY else 1


def _notice(rule: Rule, at: float, text: str, stage: int, found: list[tuple[str, WatchedExpiry]]) -> Notice:
    names = [name for name, _ in found]
    expiry = found[0][1]
    what = names[0] if len(names) == 1 else counted(len(names), "target")
    subject = f"expiry/{_key(names[0], expiry)}"
    return Notice(
        key=key_of(rule.channel, f"{subject}@{round(expiry.at)}", "expiry", stage),
        event="expiry",
        at=at,
        subject=subject,
        headline=f"{what}: {text}",
        message=text,
        targets=tuple(names[:NAMES_KEPT]),
        targets_total=len(names),
        ended_at=expiry.at,
    )
