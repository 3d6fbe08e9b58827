"""The alert rules: what their source makes, promtool's cases, runbook, the metrics they name, routing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conformance.alerts import promtool
from conformance.alerts.connectivity_cases import CASES as CONNECTIVITY_CASES
from conformance.alerts.expiry_cases import CASES as EXPIRY_CASES
from conformance.alerts.maintenance_cases import CASES as MAINTENANCE_CASES
from conformance.alerts.monitor_cases import CASES as MONITOR_CASES
from conformance.alerts.service_level_cases import CASES as SERVICE_LEVEL_CASES
from conformance.alerts.shard_cases import CASES as SHARD_CASES
from conformance.alerts.target_cases import CASES as TARGET_CASES
from conformance.alerts.target_cases import GONE, VOTES
from deploy.alerts.rule import Parameters
from floe_monitor.telemetry.instruments import INSTRUMENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "prometheus"
RULES = DEPLOY / "rules.yaml"
CASES = (
    *TARGET_CASES, *MONITOR_CASES, *SHARD_CASES, *SERVICE_LEVEL_CASES, *EXPIRY_CASES, *MAINTENANCE_CASES,
    *CONNECTIVITY_CASES,
)  # fmt: skip


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def generated(*parameters: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "deploy.alerts", "--print", *parameters],
        capture_output=True, text=True, timeout=120, check=True, cwd=ROOT,
    ).stdout  # fmt: skip


def tool(*command: str) -> subprocess.CompletedProcess[str]:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=DEPLOY)


@pytest.mark.process
def test_they_are_what_their_source_makes() -> None:
    assert generated() == RULES.read_text(), "run: python -m deploy.alerts"


@pytest.mark.process
def test_parameters_are_in_every_rule_they_concern() -> None:
    text = generated(
        "--job=watch-.*", "--runbook-url=https://wiki.example.com/a", "--page-url=https://floe.example.com/{target}",
        "--team-label=squad",
    )  # fmt: skip
    made = [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    defaults = Parameters()
    for default in (defaults.job, defaults.runbook_url, "http://{{", f"label_{defaults.team_label}"):
        assert default not in text
    pages = [rule["annotations"] for rule in made if "alert" in rule]
    assert all(each["runbook_url"].startswith("https://wiki.example.com/a#floe") for each in pages)
    assert {each["page_url"] for each in pages if "page_url" in each} == {
        "https://floe.example.com/{{ $labels.target }}"
    }


@pytest.mark.process
def test_promtool_and_amtool_accept_what_is_shipped() -> None:
    for command in (
        ("promtool", "check", "rules", "--lint-fatal", RULES.name),
        ("promtool", "check", "config", "--lint-fatal", "prometheus.yaml"),
        ("amtool", "check-config", "alertmanager.yaml"),
    ):
        done = tool(*command)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.process
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=page"], "on-call"),
        (["severity=page", "team=core"], "core-on-call"),
        (["severity=warning", "team=other"], "chat"),
        (["severity=warning", "team=core"], "core-chat"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_alerts_are_routed_by_severity_and_team(labels: list[str], receiver: str) -> None:
    done = tool("amtool", "config", "routes", "test", "--config.file=alertmanager.yaml", *labels)
    assert done.stdout.strip() == receiver, done.stderr


def test_nothing_is_inhibited() -> None:
    """The resolve of an alert that has paged, and ends while it is inhibited, would never be sent."""
    assert yaml.safe_load((DEPLOY / "alertmanager.yaml").read_text())["inhibit_rules"] == []


def cases_hold(cases: Iterable[promtool.Case], rules_file: Path, folder: Path) -> tuple[bool, str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = promtool.run(cases, rules_file, folder)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.gate
@pytest.mark.process
def test_votes_and_deaths_of_monitors(tmp_path: Path) -> None:
    holds, output = cases_hold((*VOTES[:4], *GONE[:4]), RULES, tmp_path)
    assert holds, output


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(1300)
def test_every_case(tmp_path: Path) -> None:
    holds, output = cases_hold(CASES, RULES, tmp_path)
    assert holds, output


def test_every_alert_has_cases_in_which_it_is_quiet_fires_and_resolves() -> None:
    shown = promtool.coverage(CASES)
    assert shown == {rule["alert"]: {"quiet", "fires", "resolves"} for rule in alerts()}


HELD = "floe:target_status:held and on (cluster, namespace, job, instance) up == 0"
WEAKER: dict[str, tuple[str | re.Pattern[str], str]] = {
    "no verdict of a dead monitor is held": (HELD, "vector(0) > 1"),
    "a monitor that left discovery is forgotten": (
        "last_over_time(floe_compute_target_status[5m])",
        "floe_compute_target_status",
    ),
    "a dead monitor's verdict counts like a fresh one": (
        "((floe_compute_target_status > 0) == bool 3)",
        "((floe_compute_target_status > 3) == bool 3)",
    ),
    "a tie ends the alert": ("floe:target_unhealthy:share == 0.5\n", "floe:target_unhealthy:share == 0.7\n"),
    "half of the votes start it": (
        "(floe:target_unhealthy:share > 0.5)",
        "(floe:target_unhealthy:share >= 0.5)",
    ),
    "nothing waits": (re.compile(r"^( +for:) .*$", re.MULTILINE), r"\1 0s"),
}


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", WEAKER)
def test_the_cases_see_a_rule_that_is_wrong(fault: str, tmp_path: Path) -> None:
    found, instead = WEAKER[fault]
    text = RULES.read_text()
    weaker = found.sub(instead, text) if isinstance(found, re.Pattern) else text.replace(found, instead)
    assert weaker != text
    path = tmp_path / "rules.yaml"
    path.write_text(weaker)
    holds, output = cases_hold((*VOTES, *GONE), path, tmp_path)
    assert not holds
    assert "FAILED" in output, "a file that cannot be read proves nothing"


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_alert_says_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"page", "warning"}
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"].endswith((".", "{{ end }}"))
    page, anchor = rule["annotations"]["runbook_url"].split("#")
    assert page.startswith("https://")
    assert anchor == rule["alert"].lower()
    text = (ROOT / "docs" / "alerts.md").read_text()
    assert f"\n### {rule['alert']}\n" in text
    [row] = [line for line in text.splitlines() if line.startswith("| [") and f"(#{anchor})" in line]
    assert f"| {rule['labels']['severity']} |" in row


def test_rules_name_only_what_is_exported_or_recorded() -> None:
    exported = {instrument.name for instrument in INSTRUMENTS}
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        texts = [rule["expr"], *rule.get("annotations", {}).values()]
        named = {name for text in texts for name in re.findall(r"(?<![:\w])(?:floe|slo)[_:][\w:]+", text)} - {
            "floe_scope"
        }
        assert {name.removesuffix("_bucket") for name in named} <= exported | recorded, rule
