"""The rules for metrics that came by OTLP: as Prometheus' receiver stores them, without `up` or staleness."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import promql_parser
import pytest
import yaml

from conformance.alerts.promtool import Case, Series, firing, quiet, series, status
from deploy.alerts.otlp import UP, expression
from floe_monitor.telemetry.instrument import Instrument, Kind
from floe_monitor.telemetry.instruments import INSTRUMENTS
from tests.deploy.test_rules import CASES, DEPLOY, cases_hold, generated, tool
from tests.harness.otlp_translation import label_name, metric_name

if TYPE_CHECKING:
    from pathlib import Path

RULES = DEPLOY / "rules-otlp.yaml"
UNHEALTHY, DOWN, ALL_DOWN = "FloeTargetUnhealthy", "FloeMonitorDown", "FloeMonitorsAllDown"


def received(instrument: Instrument) -> str:
    """Its name in a Prometheus to which it came by OTLP."""
    kind = {Kind.COUNTER: "counter", Kind.HISTOGRAM: "histogram"}.get(instrument.kind, "gauge")
    return metric_name(instrument.otlp, instrument.otlp_unit, kind)


RECEIVED = {each.name: received(each) for each in INSTRUMENTS}


def expressions(path: Path) -> list[str]:
    return [rule["expr"] for group in yaml.safe_load(path.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.process
def test_they_are_what_their_source_makes_and_promtool_accepts_them() -> None:
    assert generated("--otlp") == RULES.read_text(), "run: python -m deploy.alerts"
    done = tool("promtool", "check", "rules", "--lint-fatal", RULES.name)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_they_ask_for_comes_by_otlp() -> None:
    for expr in expressions(RULES):
        promql_parser.parse(expr)
        assert not re.search(r"(?<![\w:.])up(?![\w:])", expr), "there is none of what is not scraped"
        for name in re.findall(r"(?<![\w:])(?:floe_|process_)\w+", re.sub(r"\bfloe_scope\b", "", expr)):
            assert re.sub(r"_(bucket|count|sum)$", "", name) in RECEIVED.values()


def test_only_fresh_samples_count() -> None:
    """A series that is not sent any more is found for five minutes: each selector asks for less."""
    measured = "|".join(re.escape(name) for name in RECEIVED.values())
    for expr in expressions(RULES):
        bare = re.sub(rf"(?:{measured})(?:_bucket)?(?:\{{[^}}]*\}})?\[\w+\]", "", expr)
        assert not re.search(rf"(?<![\w:])(?:{measured})(?![\w:])", bare), bare


def test_selectors_are_rewritten_wherever_they_stand() -> None:
    assert expression('up{job="x"} == 0 unless rate(floe_monitor_ready[5m])') == (
        f'{UP}{{job="x"}} == 0 unless rate(floe_monitor_ready[5m])'
    )
    assert expression("a:up - floe_compute_target_up and on (floe_scope) b") == (
        "a:up - last_over_time(floe_compute_target_up[1m]) and on (floe_scope) b"
    )
    assert expression('floe_compute_target_status{check="network"} == 3') == (
        'last_over_time(floe_compute_target_status{check="network"}[1m]) == 3'
    )


def shaped(each: Series) -> Series:
    """As the receiver stores it: names and labels translated, a monitor's `up` by what it sends."""
    name, brace, labels = each.name.partition("{")
    if name == "up":
        return Series(f"floe_monitor_build_info{brace}{labels}", each.values)
    base = re.sub(r"_(bucket|count|sum)$", "", name)
    labels = re.sub(r"([\w.]+)=", lambda found: f"{label_name(found[1])}=", labels)
    return Series(RECEIVED[base] + name.removeprefix(base) + brace + labels, each.values)


FIVE_HOURS = 5 * 3600


def is_steady(case: Case) -> bool:
    """No monitor dies in it, and no series ends: how long that takes is another matter by OTLP. The longest
    are left to the other rules: they take as long as all others."""
    ups = [each for each in case.series if each.name.startswith("up{")]
    return (
        bool(ups)
        and all(re.fullmatch(r"1x\d+", each.values) for each in ups)
        and not any(re.search(r"stale|_", each.values) for each in case.series)
        and max(second for each in case.expected for second in each.seconds) < FIVE_HOURS
    )


STEADY = [
    replace(case, series=[shaped(each) for each in case.series], described=())
    for case in CASES
    if is_steady(case)
]


def sends(instance: str, values: str) -> Series:
    return series("floe_monitor_build_info", values, instance=instance, version="1")


GONE = (
    Case(
        "a lone monitor is away for four minutes while its target is ill",
        [sends("a", "1x40 _x15 1x60"), status("a", "1x19 3x20 _x15 0x1 3x58")],
        [
            firing(UNHEALTHY, 330, 1500),
            quiet(ALL_DOWN, 0, 645),
            firing(ALL_DOWN, 765, 1095),
            quiet(ALL_DOWN, 1260, 1500),
            quiet(DOWN, 0, 1500),
        ],
    ),
    Case(
        "the same while the target recovers",
        [sends("a", "1x40 _x15 1x60"), status("a", "1x19 3x20 _x15 0x1 1x58")],
        [firing(UNHEALTHY, 330, 855), quiet(UNHEALTHY, 945, 1500)],
    ),
    Case(
        "one of two is away: it is told, and what it saw is no other's business",
        [
            sends("a", "1x200"),
            sends("b", "1x80 _x40 1x80"),
            status("a", "1x200"),
            status("b", "1x80 _x40 1x80"),
        ],
        [
            quiet(UNHEALTHY, 0, 3000),
            quiet(ALL_DOWN, 0, 3000),
            quiet(DOWN, 0, 1245),
            firing(DOWN, 1365, 2040),
            quiet(DOWN, 2220, 3000),
        ],
    ),
    Case(
        "a pod is rolled while its target is ill",
        [
            sends("a", "1x80 _x120"),
            sends("b", "_x83 1x117"),
            status("a", "1x19 3x60 _x120"),
            status("b", "_x83 0x2 3x114"),
        ],
        [firing(UNHEALTHY, 330, 3000), quiet(DOWN, 1320, 3000)],
    ),
    Case(
        "a target is removed while it is ill",
        [sends("a", "1x80"), status("a", "1x19 3x20 _x40"), status("a", "1x80", target="other")],
        [firing(UNHEALTHY, 330, 600), quiet(UNHEALTHY, 735, 1200)],
    ),
)


def test_most_alerts_have_cases_that_say_nothing_of_how_metrics_come() -> None:
    alerts = {each.alert for case in STEADY for each in case.expected if each.count}
    assert len(alerts) >= 18


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(1300)
def test_cases_hold_on_what_came_by_otlp(tmp_path: Path) -> None:
    holds, output = cases_hold(STEADY, RULES, tmp_path)
    assert holds, output


@pytest.mark.gate
@pytest.mark.process
def test_monitors_that_are_gone(tmp_path: Path) -> None:
    holds, output = cases_hold(GONE, RULES, tmp_path)
    assert holds, output
