"""Writes deploy/prometheus/rules.yaml and rules-otlp.yaml: run it after a change here, and commit all.

python -m deploy.alerts                                              # writes
python -m deploy.alerts --print --runbook-url https://wiki.example.com/floe   # yours, to standard output
python -m deploy.alerts --print --otlp                               # for metrics that came by OTLP
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from deploy.alerts import expiry_rules, monitor_rules, otlp, service_level_rules, shard_rules, target_rules
from deploy.alerts.rule import Parameters, render

OUTPUT = Path(__file__).parents[1] / "prometheus" / "rules.yaml"
OTLP_OUTPUT = OUTPUT.with_name("rules-otlp.yaml")
HEADING = """
Alerts of floe-monitor for Prometheus 2.42 and newer{}, written by `python -m deploy.alerts`: change them
there. What to do about each is in docs/alerts.md. `severity: page` needs someone now, `severity: warning` can
wait for the morning.
"""


def text(parameters: Parameters, *, by_otlp: bool = False) -> str:
    sources = (target_rules, monitor_rules, shard_rules, service_level_rules, expiry_rules)
    groups = [group for source in sources for group in source.groups(parameters)]
    about = ", on metrics that came by OTLP" if by_otlp else ""
    return render(otlp.groups(groups) if by_otlp else groups, parameters, HEADING.format(about))


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m deploy.alerts")
    parser.add_argument("--print", action="store_true", help="to standard output")
    parser.add_argument("--otlp", action="store_true", help="with --print: for metrics that came by OTLP")
    for each in fields(Parameters):
        parser.add_argument(f"--{each.name.replace('_', '-')}", default=each.default, metavar="TEXT")
    options = vars(parser.parse_args(arguments))
    printed, by_otlp = options.pop("print"), options.pop("otlp")
    parameters = Parameters(**options)
    if printed:
        sys.stdout.write(text(parameters, by_otlp=by_otlp))
        return
    for path, kind in ((OUTPUT, False), (OTLP_OUTPUT, True)):
        path.write_text(text(parameters, by_otlp=kind), encoding="utf-8")
        print(f"wrote {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
