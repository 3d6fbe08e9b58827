"""`python -m conformance.alerts.shards`: four shards under a real Prometheus, one killed for four minutes.

Once with each target on two shards, where every target must stay watched and nobody be told; once with each
on one, where the monitor that is down must be told, and nothing else. Eight thousand targets of the lab
plugin, an engine that answers at once: it is the monitors, the scrapes and the rules that are tried. Writes
what it saw, with the day, into docs/shards.md. `--targets`, `--speed` and `--replicas` are for
a shorter run, which writes nothing.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.alerts.clocks import STEP, Clock
from conformance.alerts.monitor_outages import KILLED
from conformance.alerts.replay import alert_history_of
from conformance.alerts.scenario_setup import DOWN, ScenarioSetup
from conformance.alerts.servers import Servers, missing_programs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.alerts.replay import AlertHistory

LAB = Path(__file__).parents[2] / "tests" / "lab"
PAGE = Path(__file__).parents[2] / "docs" / "shards.md"
_PLACE = re.compile(r"(?<=<!-- killed -->\n).*?(?=<!-- end of killed -->)", re.DOTALL)
COUNT = 4
TARGETS = 8000


@dataclass(frozen=True, slots=True)
class Outcome:
    """`least`: targets with a verdict at the worst moment; `most`: those of the largest shard."""

    replicas: int
    targets: int
    most: int
    least: int
    history: AlertHistory

    @property
    def problems(self) -> list[str]:
        found = []
        expected = {} if self.replicas > 1 else {DOWN: 1}
        if dict(self.history.pages) != expected:
            found.append(f"pages were {dict(self.history.pages)}, not {expected}")
        if self.history.warnings or self.history.left:
            found.append(
                f"warnings: {dict(self.history.warnings)}, open at the end: {sorted(self.history.left)}"
            )
        if (self.least == self.targets) != (self.replicas > 1):
            found.append(f"{self.least} of {self.targets} targets had a verdict at the worst moment")
        return [f"replicas {self.replicas}: {problem}" for problem in found]


def kill_one(setup: ScenarioSetup, servers: Servers, targets: int, replicas: int) -> Outcome:
    """Monitors up, one killed for four minutes and started again, and time for what may come of it."""
    shard = {"count": COUNT, "replicas": replicas}
    named: dict[str, Any] = {f"target-{number:05d}": {"plugin": "lab"} for number in range(targets)}
    monitors = [
        setup.monitor(named, {"PYTHONPATH": str(LAB), "POD_NAME": f"floe-{index}"}, shard=shard)
        for index in range(COUNT)
    ]
    setup.begin(*monitors)
    status = f'floe_compute_target_status{{job="{setup.job}"}}'
    most = _number(servers, f"max(count by (instance) ({status}))")
    setup.fault()
    monitors[1].kill()
    with _sampled(setup, servers, f"count(group by (target) ({status} > 0))") as watched:
        setup.sleep(KILLED)
        monitors[1].start()
        setup.mended()
        if replicas == 1:
            setup.until_resolved(DOWN)
        setup.settle()
    return Outcome(replicas, targets, most, min(watched), alert_history_of(setup.notified()))


@contextmanager
def _sampled(setup: ScenarioSetup, servers: Servers, expression: str) -> Iterator[list[int]]:
    """What the expression is at each step, as long as the block lasts."""
    found: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(setup.clock.seconds(STEP)):
            found.append(_number(servers, expression))

    thread = threading.Thread(target=sample, name="samples")
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _number(servers: Servers, expression: str) -> int:
    return int(float(servers.query(expression)[0]["value"][1]))


def run(targets: int, clock: Clock, replicas: Iterable[int] = (2, 1)) -> list[Outcome]:
    """One after the other: eight daemons of thousands of targets would measure the machine."""
    outcomes = []
    for each in replicas:
        with tempfile.TemporaryDirectory(prefix="fm-shards-") as path:
            job = f"floe-shards-on-{each}"
            with Servers(Path(path), clock, [job], STEP) as servers:
                setup = ScenarioSetup(job, Path(path) / job, clock, servers, max(STEP, targets / 100))
                try:
                    outcomes.append(kill_one(setup, servers, targets, each))
                finally:
                    setup.close()
    return outcomes


def table(outcomes: Iterable[Outcome]) -> str:
    lines = [
        "| Each target on | Largest shard | Targets with a verdict, at the worst moment | Pages |",
        "|---|---|---|---|",
    ]
    for each in outcomes:
        pages = ", ".join(f"{count} × {alert}" for alert, count in each.history.pages.items()) or "none"
        lines.append(
            f"| {each.replicas} of {COUNT} | {each.most} | {each.least} of {each.targets} | {pages} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.alerts.shards")
    parser.add_argument("--targets", type=int, default=TARGETS)
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than the shipped intervals"
    )
    parser.add_argument("--replicas", type=int, nargs="*", default=[2, 1])
    arguments = parser.parse_args()
    if missing := missing_programs():
        print(f"not installed: {', '.join(missing)}", file=sys.stderr)
        return 2
    outcomes = run(arguments.targets, Clock(arguments.speed), arguments.replicas)
    print(table(outcomes))
    problems = [problem for each in outcomes for problem in each.problems]
    print("\n".join(problems) or "as expected")
    if not problems and (arguments.targets, arguments.speed, arguments.replicas) == (TARGETS, 1, [2, 1]):
        day = dt.datetime.now(dt.UTC).date().isoformat()
        PAGE.write_text(_PLACE.sub(lambda _: f"\n{day}:\n\n{table(outcomes)}\n", PAGE.read_text()))
        print(f"wrote {PAGE}")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
