"""`python -m conformance.alerts`: promtool's cases of every alert, then the replay of outages.

Real Prometheus, Alertmanager, daemons and engines; the rules and the routing are the shipped ones. On real
clocks it takes a quarter of an hour and writes its table into docs/alerts.md; `--speed 4` divides every
interval by four, and writes nothing. Exits 1 where a page was missing, false, late, or one too many.
"""

# ruff: noqa: T201 - a command line prints

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from conformance.alerts import promtool, report
from conformance.alerts.clocks import Clock
from conformance.alerts.connectivity_cases import CASES as CONNECTIVITY_CASES
from conformance.alerts.expiry_cases import CASES as EXPIRY_CASES
from conformance.alerts.maintenance_cases import CASES as MAINTENANCE_CASES
from conformance.alerts.monitor_cases import CASES as MONITOR_CASES
from conformance.alerts.replay import play
from conformance.alerts.scenarios import SCENARIOS
from conformance.alerts.servers import DEPLOY, missing_programs
from conformance.alerts.service_level_cases import CASES as SERVICE_LEVEL_CASES
from conformance.alerts.shard_cases import CASES as SHARD_CASES
from conformance.alerts.target_cases import CASES as TARGET_CASES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m conformance.alerts")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="how many times faster than the shipped intervals"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="scenarios whose name has this in it")
    arguments = parser.parse_args()
    if missing := missing_programs():
        print(
            f"not installed: {', '.join(missing)} (Debian: prometheus, prometheus-alertmanager)",
            file=sys.stderr,
        )
        return 2
    chosen = [scenario for scenario in SCENARIOS if arguments.only.lower() in scenario.name.lower()]
    whole = len(chosen) == len(SCENARIOS)
    if whole and not _cases_pass():
        return 1
    outcomes = play(chosen, Clock(arguments.speed))
    print(report.table(outcomes))
    problems = [f"{each.scenario.name}: {problem}" for each in outcomes for problem in each.problems]
    print("\n".join(problems) or "as expected: no false or second page, none missing")
    if whole and arguments.speed == 1 and not problems:
        report.write(outcomes)
        print(f"wrote {report.PAGE}")
    return int(bool(problems))


def _cases_pass() -> bool:
    cases = [
        *TARGET_CASES, *MONITOR_CASES, *SHARD_CASES, *SERVICE_LEVEL_CASES, *EXPIRY_CASES, *MAINTENANCE_CASES,
        *CONNECTIVITY_CASES,
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        done = promtool.run(cases, DEPLOY / "rules.yaml", Path(folder))
    print(f"promtool: {len(cases)} cases, status {done.returncode}")
    for alert, shown in sorted(promtool.coverage(cases).items()):
        print(f"  {alert:32} {', '.join(sorted(shown))}")
    if done.returncode:
        print(done.stdout + done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
