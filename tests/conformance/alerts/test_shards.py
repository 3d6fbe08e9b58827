"""Four shards under a real Prometheus, one of them killed and started again."""

from __future__ import annotations

import re

import pytest

from conformance.alerts.clocks import Clock
from conformance.alerts.replay import AlertHistory
from conformance.alerts.servers import missing_programs
from conformance.alerts.shards import PAGE, TARGETS, Outcome, run, table

GATE_SPEED = 4.0


def history(**pages: int) -> AlertHistory:
    made = AlertHistory()
    made.pages.update(pages)
    return made


@pytest.mark.parametrize(
    ("outcome", "problem"),
    [
        (Outcome(2, 100, 50, 100, history()), None),
        (Outcome(1, 100, 25, 75, history(FloeMonitorDown=1)), None),
        (Outcome(2, 100, 50, 99, history()), "99 of 100 targets"),
        (Outcome(2, 100, 50, 100, history(FloeTargetsUnwatched=1)), "pages were"),
        (Outcome(1, 100, 25, 75, history()), "pages were {}"),
        (Outcome(1, 100, 25, 100, history(FloeMonitorDown=1)), "100 of 100 targets"),
        (Outcome(1, 100, 25, 75, history(FloeMonitorDown=1, FloeTargetsUnwatched=1)), "pages were"),
    ],
)
def test_what_was_seen_is_judged(outcome: Outcome, problem: str | None) -> None:
    assert bool(outcome.problems) == (problem is not None)
    assert problem is None or problem in " ".join(outcome.problems)


@pytest.mark.gate
@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("replicas", [2, 1])
def test_one_of_four_shards_is_killed_and_comes_back(replicas: int) -> None:
    if missing := missing_programs():
        pytest.skip(f"not installed: {', '.join(missing)}")
    [outcome] = run(160, Clock(GATE_SPEED), [replicas])
    assert not outcome.problems, "\n".join(outcome.problems)


def test_the_page_has_a_run_of_all_targets() -> None:
    made = PAGE.read_text().partition("<!-- killed -->")[2].partition("<!-- end of killed -->")[0]
    heading = table([]).splitlines()[0]
    assert re.search(r"^20\d\d-\d\d-\d\d[:,]", made, re.MULTILINE), "run: python -m conformance.alerts.shards"
    assert heading in made
    assert made.count(f" of {TARGETS} |") == 2
