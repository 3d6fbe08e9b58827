"""Whatever happens in whatever order: nothing is told twice, nothing that lasts is left out, all ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.liveness import Verdict
from floe_monitor.notifications.ledger import Ledger, ledger_changes, ledger_from_rows, ledger_rows
from floe_monitor.notifications.notifier import compare
from floe_monitor.notifications.observation import Rule, observe
from tests.notifications.conftest import DEGRADED, HEALTHY, UNHEALTHY, Simulation

if TYPE_CHECKING:
    from floe_monitor.notifications.notice import Notice

NAMES = tuple("abcdef")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("probe"), st.sampled_from(NAMES), st.sampled_from([HEALTHY, DEGRADED, UNHEALTHY])),
        st.tuples(st.just("wait"), st.sampled_from([1, 15, 45, 200, 4000]), st.none()),
        st.tuples(st.just("restart"), st.booleans(), st.none()),
        st.tuples(st.just("remove"), st.sampled_from(NAMES), st.none()),
    ),
    max_size=40,
)


class Told:
    """A simulation and what a channel hears of it; the ledger goes through its rows at a restart."""

    def __init__(self, repeat: float | None) -> None:
        self.simulation = Simulation()
        everything = frozenset({"unhealthy", "degraded", "recovered", "expiry", "monitor"})
        self.rule = Rule("c", everything, repeat=repeat, group_wait=10.0, recovery_wait=30.0)
        self.ledger = Ledger()
        self.notices: list[Notice] = []
        self.rows: dict[str, Any] = {}
        for number, name in enumerate(NAMES):
            self.simulation.add(name, host=f"h{number % 2}")

    def look(self, seconds: float) -> None:
        """As often as the notifier looks, or nearly so."""
        left = seconds
        while left > 0:
            step = min(left, 5.0)
            left -= step
            self.simulation.at += step
            at = self.simulation.at
            seen = observe(self.simulation.state, at, at, Verdict, with_expiries=False)
            after = compare(self.rule, self.ledger, seen, behind=False)
            put, gone = ledger_changes(self.ledger, after)
            self.rows.update(json.loads(json.dumps(put)))
            for key in gone:
                self.rows.pop(key, None)
            assert self.rows == json.loads(json.dumps(ledger_rows(after)))
            self.notices += after.held[len(self.ledger.held) :]
            self.ledger = after

    def restart(self, *, remembered: bool) -> None:
        self.ledger = ledger_from_rows(self.rows)
        if not remembered:
            self.simulation.forget()


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, repeat=st.sampled_from([None, 3600.0]))
def test_once_and_always(steps: list[tuple[str, Any, Any]], repeat: float | None) -> None:
    told = Told(repeat)
    for step, what, status in steps:
        match step:
            case "probe" if what in told.simulation.state.targets:
                told.simulation.probe(what, status)
            case "wait":
                told.look(what)
            case "restart":
                told.restart(remembered=what)
            case "remove" if what in told.simulation.state.targets:
                told.simulation.remove(what)
    told.look(60)
    _everything_that_fails_is_known(told)
    for name in told.simulation.state.targets:
        told.simulation.probe(name, HEALTHY)
    told.look(60)
    assert told.ledger.incidents == {}
    keys = [notice.key for notice in told.notices]
    assert len(keys) == len(set(keys))
    told_of = {notice.subject for notice in told.notices if notice.event != "recovered"}
    ended = [subject for notice in told.notices for subject in notice.ends]
    assert sorted(ended) == sorted(told_of) or (set(ended) == told_of and _told_anew(told))


def _everything_that_fails_is_known(told: Told) -> None:
    known = {name for each in told.ledger.incidents.values() for name in each.open}
    for incident in told.simulation.state.incidents.view():
        failing = [
            name
            for name, member in incident.members.items()
            if member.ended_at is None and told.simulation.state.targets[name].status >= HealthStatus.DEGRADED
        ]
        if incident.is_open and failing:
            assert known.intersection(failing), f"nobody was told of {failing}"


def _told_anew(told: Told) -> bool:
    """An incident that goes on may be told again after the end of what was told of it, and ends again."""
    ended: set[str] = set()
    for notice in told.notices:
        if notice.event != "recovered" and notice.subject in ended:
            return True
        ended.update(notice.ends)
    return False
