"""Compares the monitor's own problems with those a channel was told. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from floe_monitor.notifications.ledger import NotifiedProblem
from floe_monitor.notifications.notice import MESSAGE_KEPT, Notice, key_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.notifications.ledger import Ledger
    from floe_monitor.notifications.observation import Observation, Rule

_HEADLINES = {
    "liveness": "the monitor itself is ill",
    "connectivity": "the monitor is cut off",
    "configuration": "the monitor goes on with its former configuration",
    "history": "the monitor keeps no history",
    "profiles": "dbt's profiles are not kept in step",
}


def problem_notices(
    rule: Rule, ledger: Ledger, seen: Observation, *, behind: bool
) -> tuple[Mapping[str, NotifiedProblem], Mapping[str, float], list[Notice]]:
    """What is told now, since when what is not told yet is seen, and the notices."""
    if "monitor" not in rule.events:
        return {}, {}, []
    notified: dict[str, NotifiedProblem] = dict(ledger.problems)
    waiting: dict[str, float] = {}
    notices: list[Notice] = []
    for kind, text in seen.problems.items():
        known = notified.get(kind)
        if known is not None:
            known = replace(known, clear_since=None, text=text)
            due = rule.repeat is not None and not behind and seen.at - known.notified_at >= rule.repeat
            if due:
                notices.append(_notice(rule, known, seen.at))
                known = replace(known, notified_at=seen.at, count=known.count + 1)
            notified[kind] = known
            continue
        mark = f"problem/{kind}"
        since = min(ledger.waiting.get(mark, seen.at), seen.at)
        if seen.at - since < rule.group_wait:
            waiting[mark] = since
            continue
        begun = NotifiedProblem(kind, since, seen.at, text[:MESSAGE_KEPT], count=0)
        notices.append(_notice(rule, begun, seen.at))
        notified[kind] = replace(begun, count=1)
    for kind in notified.keys() - seen.problems.keys():
        known = notified[kind]
        since = seen.at if known.clear_since is None else min(known.clear_since, seen.at)
        if seen.at - since < rule.recovery_wait:
            notified[kind] = replace(known, clear_since=since)
            continue
        del notified[kind]
        if "recovered" in rule.events:
            notices.append(_over(rule, known, seen.at, since))
    return notified, waiting, notices


def _notice(rule: Rule, problem: NotifiedProblem, at: float) -> Notice:
    headline = _HEADLINES.get(problem.kind, f"the monitor has a problem: {problem.kind}")
    return Notice(
        key=_key(rule, problem, "monitor"),
        event="monitor",
        at=at,
        subject=f"monitor/{problem.kind}",
        headline=f"still: {headline}" if problem.count else headline,
        message=problem.text[:MESSAGE_KEPT],
        began_at=problem.began_at,
        reminder=problem.count,
    )


def _over(rule: Rule, problem: NotifiedProblem, at: float, since: float) -> Notice:
    headline = _HEADLINES.get(problem.kind, f"the monitor has a problem: {problem.kind}")
    return Notice(
        key=_key(rule, problem, "recovered"),
        event="recovered",
        at=at,
        subject=f"monitor/{problem.kind}",
        headline=f"no longer: {headline}",
        began_at=problem.began_at,
        ended_at=since,
        ends=(f"monitor/{problem.kind}",),
    )


def _key(rule: Rule, problem: NotifiedProblem, event: str) -> str:
    """A kind may come again: when it began tells one time from another."""
    return key_of(rule.channel, f"monitor/{problem.kind}@{problem.began_at:.3f}", event, problem.count)
