"""Rules as values, and the file that Prometheus reads."""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

MONITOR_LABELS = "cluster, namespace, job, instance"
"""What tells monitors apart; of a label that a series lacks Prometheus makes the empty string."""
JOB_LABELS = "cluster, namespace, job"
SCOPE_LABELS = "cluster, namespace, job, floe_scope"
"""What tells groups of monitors apart that watch the same targets."""
TARGET_LABELS = "cluster, namespace, job, floe_scope, target, plugin"
"""What tells targets apart, and is the identity of their alerts. Monitors with the same `floe_scope`, or
without any, watch the same target where they give it the same name; sidecars have one each."""

Severity = Literal["page", "warning"]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What differs between installations."""

    job: str = "floe.*"
    """Pattern of the monitors' `job` labels."""
    runbook_url: str = "https://floe-monitor.example.com/docs/alerts.html"
    """Where docs/alerts.md is read; an alert's own part is its `#fragment`."""
    page_url: str = "http://{instance}/targets/{target}"
    """A target's page; `{instance}` is the address of a monitor that sees the fault."""
    team_label: str = "team"
    """The configured label (`labels` of a target) that becomes the label `team` of its alerts."""


@dataclass(frozen=True, slots=True)
class Record:
    """`why` becomes the comment above it."""

    name: str
    expr: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """`wait` is Prometheus' `for`, `keep` its `keep_firing_for`."""

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
    keep: str = ""
    page_url: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    interval: str
    rules: Sequence[Record | Alert]


def render(groups: Sequence[Group], parameters: Parameters, heading: str) -> str:
    lines = [*_comment(heading), "groups:"]
    for group in groups:
        lines += [f"  - name: {group.name}", f"    interval: {group.interval}", "    rules:"]
        for rule in group.rules:
            text = _record(rule) if isinstance(rule, Record) else _alert(rule, parameters)
            lines += [("      " + line).rstrip() for line in (*_comment(rule.why), *text)]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), 110)]


def _expression(text: str) -> list[str]:
    return ["  expr: |-", *textwrap.indent(textwrap.dedent(text).strip(), "    ").splitlines()]


def _record(record: Record) -> list[str]:
    return [f"- record: {record.name}", *_expression(record.expr)]


def _alert(alert: Alert, parameters: Parameters) -> list[str]:
    annotations = {
        "summary": alert.summary,
        "description": alert.description,
        "page_url": alert.page_url,
        "runbook_url": f"{parameters.runbook_url}#{alert.name.lower()}",
    }
    lines = [f"- alert: {alert.name}", *_expression(alert.expr), f"  for: {alert.wait}"]
    if alert.keep:
        lines.append(f"  keep_firing_for: {alert.keep}")
    lines += ["  labels:", f"    severity: {alert.severity}", "  annotations:"]
    return lines + [
        f"    {key}: {json.dumps(text, ensure_ascii=False)}" for key, text in annotations.items() if text
    ]
