"""Plays scenarios beside each other on one Prometheus and one Alertmanager, and judges what the pager got."""

from __future__ import annotations

import tempfile
import threading
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from conformance import postgres_servers
from conformance.alerts.clocks import STEP
from conformance.alerts.scenario_setup import ScenarioSetup
from conformance.alerts.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from conformance.alerts.clocks import Clock
    from conformance.alerts.scenarios import Scenario
    from conformance.alerts.servers import Notified

_Identity = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class AlertHistory:
    """What the notifications come to: for each alert the times at which it was told firing and resolved."""

    pages: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    begun: dict[str, list[float]] = field(default_factory=dict)
    ended: dict[str, list[float]] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)


def alert_history_of(notified: Iterable[Notified]) -> AlertHistory:
    """A notification that repeats an alert which is open is no page of its own."""
    history, now_open = AlertHistory(), set[_Identity]()
    for each in notified:
        alert = each.labels["alertname"]
        if each.firing and each.identity not in now_open:
            now_open.add(each.identity)
            counted = history.warnings if each.labels["severity"] == "warning" else history.pages
            counted[alert] += 1
            history.begun.setdefault(alert, []).append(each.at)
        elif not each.firing and each.identity in now_open:
            now_open.remove(each.identity)
            history.ended.setdefault(alert, []).append(each.at)
    history.left = {dict(identity)["alertname"] for identity in now_open}
    return history


@dataclass(frozen=True, slots=True)
class Outcome:
    """Times are seconds of the shipped clocks; None where there is none."""

    scenario: Scenario
    history: AlertHistory
    to_page: float | None
    to_resolve: float | None
    problems: tuple[str, ...]


def judge(scenario: Scenario, history: AlertHistory, marks: dict[str, float], clock: Clock) -> Outcome:
    """Times are held to their bounds on real clocks alone: shorter ones show the machine's own delays."""
    problems = []
    if history.pages != Counter(scenario.pages):
        problems.append(f"pages were {dict(history.pages)}, not {dict(scenario.pages)}")
    if history.warnings != Counter(scenario.warnings):
        problems.append(f"warnings were {dict(history.warnings)}, not {dict(scenario.warnings)}")
    if history.left != scenario.left:
        problems.append(f"open at the end were {sorted(history.left)}, not {sorted(scenario.left)}")
    begun, ended = history.begun.get(scenario.timed, []), history.ended.get(scenario.timed, [])
    to_page = _between(marks.get("fault"), begun[:1], clock)
    to_resolve = _between(marks.get("end"), ended[-1:], clock)
    if to_resolve is not None and to_resolve < 0:
        problems.append(f"{scenario.timed} was resolved {-to_resolve:.0f} s before the end of the fault")
    if clock.speed == 1:
        for what, seconds, bound in (
            ("to the page", to_page, scenario.pages_within),
            ("to the resolve", to_resolve, scenario.resolves_within),
        ):
            if seconds is not None and bound is not None and seconds > bound:
                problems.append(f"{what} were {seconds:.0f} s, more than {bound:.0f}")
    return Outcome(scenario, history, to_page, to_resolve, tuple(problems))


def _between(begin: float | None, times: list[float], clock: Clock) -> float | None:
    return None if begin is None or not times else (times[0] - begin) * clock.speed


def play(scenarios: Sequence[Scenario], clock: Clock) -> list[Outcome]:
    """All at once: each has a job of its own, and no rule looks across jobs."""
    postgres_servers.embedded()  # its import changes the filters of warnings, which are every thread's
    with tempfile.TemporaryDirectory(prefix="fm-replay-") as path:
        folder = Path(path)
        with Servers(folder, clock, [scenario.job for scenario in scenarios], STEP) as servers:
            outcomes: dict[str, Outcome] = {}
            threads = [
                threading.Thread(
                    target=_play, args=(scenario, folder, clock, servers, outcomes), name=scenario.job
                )
                for scenario in scenarios
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return [outcomes[scenario.job] for scenario in scenarios]


def _play(
    scenario: Scenario, folder: Path, clock: Clock, servers: Servers, outcomes: dict[str, Outcome]
) -> None:
    setup = ScenarioSetup(scenario.job, folder / scenario.job, clock, servers, STEP)
    failed: tuple[str, ...] = ()
    try:
        scenario.play(setup)
    except Exception:  # noqa: BLE001 - whatever it is, it is this scenario's outcome, and the others go on
        failed = (traceback.format_exc(),)
    finally:
        outcome = judge(scenario, alert_history_of(setup.notified()), setup.marks, clock)
        if failed or outcome.problems:
            failed = (*failed, *(monitor.last_words() for monitor in setup.monitors))
        setup.close()
    outcomes[scenario.job] = Outcome(
        scenario, outcome.history, outcome.to_page, outcome.to_resolve, (*failed, *outcome.problems)
    )
