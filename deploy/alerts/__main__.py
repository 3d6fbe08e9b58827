"""Writes deploy/prometheus/rules.yaml: run it after a change here, and commit both.

python -m deploy.alerts                                              # writes
python -m deploy.alerts --print --runbook-url https://wiki.example.com/floe   # yours, to standard output
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from deploy.alerts import expiry_rules, monitor_rules, service_level_rules, shard_rules, target_rules
from deploy.alerts.rule import Parameters, render

OUTPUT = Path(__file__).parents[1] / "prometheus" / "rules.yaml"
HEADING = """
Alerts of floe-monitor for Prometheus 2.42 and newer, written by `python -m deploy.alerts`: change them
there. What to do about each is in docs/alerts.md. `severity: page` needs someone now, `severity: warning` can
wait for the morning.
"""


def text(parameters: Parameters) -> str:
    sources = (target_rules, monitor_rules, shard_rules, service_level_rules, expiry_rules)
    return render([group for source in sources for group in source.groups(parameters)], parameters, HEADING)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.alerts")
    parser.add_argument("--print", action="store_true", help="to standard output")
    for each in fields(Parameters):
        parser.add_argument(f"--{each.name.replace('_', '-')}", default=each.default, metavar="TEXT")
    options = vars(parser.parse_args(arguments))
    printed = options.pop("print")
    written = text(Parameters(**options))
    if printed:
        sys.stdout.write(written)
    else:
        OUTPUT.write_text(written, encoding="utf-8")
        print(f"wrote {OUTPUT}")


if __name__ == "__main__":
    main(sys.argv[1:])
