"""The replay: how it judges, and outages with real servers on shortened clocks."""

from __future__ import annotations

import re

import pytest

from conformance.alerts import report
from conformance.alerts.clocks import Clock
from conformance.alerts.replay import Outcome, alert_history_of, judge, play
from conformance.alerts.scenarios import SCENARIOS
from conformance.alerts.servers import DEPLOY, Notified, missing_programs

pytestmark = pytest.mark.gate

GATE_SPEED = 4.0
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
SPOILT = BY_NAME["File replaced by junk and restored"]
MARKS = {"fault": 100.0, "end": 200.0}


def notified(
    at: float, *, firing: bool, alert: str = "FloeTargetUnhealthy", severity: str = "page"
) -> Notified:
    return Notified(at, "on-call", "g", firing, {"alertname": alert, "severity": severity, "job": "j"}, {})


FIRES, RESOLVES = notified(140, firing=True), notified(240, firing=False)


def test_one_page_that_ends_after_the_fault_is_as_expected() -> None:
    outcome = judge(SPOILT, alert_history_of([FIRES, notified(150, firing=True), RESOLVES]), MARKS, Clock())
    assert outcome.problems == ()
    assert (outcome.to_page, outcome.to_resolve) == (40, 40)
    assert "| 1 × FloeTargetUnhealthy | 40 s | 40 s |" in report.table([outcome])


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "pages were {}"),
        ([FIRES], "open at the end"),
        ([FIRES, RESOLVES, notified(250, firing=True), notified(260, firing=False)], "pages were"),
        ([FIRES, notified(180, firing=False)], "was resolved 20 s before the end"),
        ([notified(180, firing=True), RESOLVES], "to the page were 80 s"),
        ([FIRES, notified(270, firing=False)], "to the resolve were 70 s"),
        (
            [FIRES, notified(141, firing=True, alert="X", severity="warning"), RESOLVES],
            "warnings were {'X': 1}",
        ),
    ],
    ids=["silent", "open", "second page", "false resolve", "late page", "late resolve", "warning"],
)
def test_whatever_else_is_a_problem(messages: list[Notified], problem: str) -> None:
    [*_, last] = judge(SPOILT, alert_history_of(messages), MARKS, Clock()).problems
    assert problem in " ".join(judge(SPOILT, alert_history_of(messages), MARKS, Clock()).problems), last


def test_a_shortened_clock_shortens_every_duration_and_nothing_else() -> None:
    text = (
        "for: 30m\nkeep_firing_for: 15s\ngroup_interval: 5s\nx[6h:5m] > 120\nname_rate5m[1h]\nsummary: 5m\n"
    )
    assert Clock(5).shortened(text) == (
        "for: 360000ms\nkeep_firing_for: 3000ms\ngroup_interval: 1000ms\nx[4320000ms:60000ms] > 120\n"
        "name_rate5m[720000ms]\nsummary: 5m\n"
    )
    rules = (DEPLOY / "rules.yaml").read_text()
    assert Clock().shortened(rules) == rules


def replayed(names: list[str], speed: float) -> list[Outcome]:
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    return play([BY_NAME[name] for name in names], Clock(speed))


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
def test_an_outage_pages_once_and_resolves() -> None:
    """At this speed a busy machine can look like a monitor that is down, which is left out of account."""
    [outcome] = replayed([SPOILT.name], 15)
    assert outcome.to_resolve is not None, outcome.problems
    assert outcome.to_resolve > 0
    assert outcome.history.pages["FloeTargetUnhealthy"] == 1


@pytest.mark.gate
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(1800)
def test_every_outage_pages_as_often_as_it_should() -> None:
    """All at once, and what went wrong then once more by itself: forty daemons on clocks four times as fast
    leave a busy machine little time for each."""
    outcomes = replayed(list(BY_NAME), GATE_SPEED)
    wrong = [each.scenario.name for each in outcomes if each.problems]
    again = replayed(wrong, GATE_SPEED) if wrong else []
    lines = [f"{each.scenario.name}: {problem}" for each in (*outcomes, *again) for problem in each.problems]
    assert not any(each.problems for each in again), "\n".join(lines)


def test_the_page_has_the_times_of_every_outage() -> None:
    text = report.PAGE.read_text()
    rows = text.partition("<!-- replay -->")[2].partition("<!-- end of replay -->")[0].splitlines()
    names = [row.split(" | ")[0].removeprefix("| ") for row in rows if row.startswith("| ")]
    assert names == ["Scenario", *BY_NAME], "run: make replay"
    assert any(re.match(r"20\d\d-\d\d-\d\d, Prometheus ", row) for row in rows)
