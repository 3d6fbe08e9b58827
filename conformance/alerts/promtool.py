"""Cases for `promtool test rules`: series as they would be scraped, and which alerts fire at which second."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Series:
    """`values` in promtool's notation: `1x3` is four samples, `_` none, `stale` a failed scrape."""

    name: str
    values: str


@dataclass(frozen=True, slots=True)
class Expected:
    """So many alerts of the name fire at each of the seconds."""

    alert: str
    count: int
    seconds: Sequence[int]
    matchers: str = ""


@dataclass(frozen=True, slots=True)
class Described:
    """One alert fires at the second, with exactly these labels and annotations (those named)."""

    alert: str
    second: int
    labels: dict[str, str]
    annotations: dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    series: Sequence[Series]
    expected: Sequence[Expected]
    described: Sequence[Described] = ()
    interval: int = 15
    """Seconds between samples, and between evaluations."""


def series(metric: str, values: str, **labels: str) -> Series:
    inside = ",".join(f'{name}="{value}"' for name, value in {"job": "floe", **labels}.items())
    return Series(f"{metric}{{{inside}}}", values)


def up(instance: str, values: str) -> Series:
    return series("up", values, instance=instance)


def status(instance: str, values: str, target: str = "wh", **labels: str) -> Series:
    """Of a target: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy."""
    return of_target("floe_compute_target_status", instance, values, target, **labels)


def of_target(metric: str, instance: str, values: str, target: str = "wh", **labels: str) -> Series:
    return series(metric, values, instance=instance, target=target, plugin="pg", **labels)


def firing(
    alert: str, first: int, last: int | None = None, *, count: int = 1, every: int = 15, matchers: str = ""
) -> Expected:
    """From the first second to the last, both included."""
    return Expected(alert, count, range(first, (first if last is None else last) + 1, every), matchers)


def quiet(
    alert: str, first: int, last: int | None = None, *, every: int = 15, matchers: str = ""
) -> Expected:
    return firing(alert, first, last, count=0, every=every, matchers=matchers)


def document(cases: Iterable[Case], rules: Path) -> dict[str, Any]:
    """Of cases with the same interval."""
    cases = list(cases)
    [interval] = {case.interval for case in cases}
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{interval}s",
        "tests": [
            {
                "name": case.name,
                "interval": f"{case.interval}s",
                "input_series": [{"series": each.name, "values": each.values} for each in case.series],
                "promql_expr_test": [
                    _counted(each, second) for each in case.expected for second in each.seconds
                ],
                "alert_rule_test": [
                    {
                        "alertname": each.alert,
                        "eval_time": f"{each.second}s",
                        "exp_alerts": [{"exp_labels": each.labels, "exp_annotations": each.annotations}],
                    }
                    for each in case.described
                ],
            }
            for case in cases
        ],
    }


def _counted(expected: Expected, second: int) -> dict[str, Any]:
    matchers = (
        f'alertname="{expected.alert}",alertstate="firing"{expected.matchers and "," + expected.matchers}'
    )
    samples = [{"labels": "{}", "value": expected.count}] if expected.count else []
    return {"expr": f"count(ALERTS{{{matchers}}})", "eval_time": f"{second}s", "exp_samples": samples}


def run(cases: Iterable[Case], rules: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`promtool`'s status is not 0 where a case fails, and its output says which."""
    by_interval: dict[int, list[Case]] = {}
    for case in cases:
        by_interval.setdefault(case.interval, []).append(case)
    paths = []
    for interval, some in by_interval.items():
        paths.append(folder / f"cases-{interval}.yaml")
        paths[-1].write_text(json.dumps(document(some, rules)))  # JSON is YAML
    return subprocess.run(
        ["promtool", "test", "rules", *map(str, paths)],  # noqa: S607 - where the system has it
        capture_output=True, text=True, timeout=1200, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def coverage(cases: Iterable[Case]) -> dict[str, set[str]]:
    """By alert, what its cases show of it: that it is `quiet`, `fires`, and `resolves`."""
    shown: dict[str, set[str]] = {}
    for case in cases:
        for alert in {each.alert for each in case.expected}:
            found = shown.setdefault(alert, set())
            moments = sorted(
                (second, each.count > 0)
                for each in case.expected
                if each.alert == alert and not each.matchers
                for second in each.seconds
            )
            fired = False
            for _, fires in moments:
                found.add("fires" if fires else "resolves" if fired else "quiet")
                fired = fired or fires
    return shown
