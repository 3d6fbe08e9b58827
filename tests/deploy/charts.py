"""The chart and the plain manifests as they render, and what to find in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import pytest
import yaml

from deploy.chart import CHART, DBT_JOB, with_dependencies
from tests.deploy.chart_variants import JOBS, VARIANTS, Manifest

if TYPE_CHECKING:
    from pathlib import Path

OPENSHIFT = ("--api-versions", "security.openshift.io/v1")


def helm(*arguments: str, values: Manifest | None = None) -> subprocess.CompletedProcess[str]:
    given = () if values is None else ("--values", "-")
    return subprocess.run(
        ["helm", *arguments, *given],
        input=json.dumps(values or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def render(chart: Path, values: Manifest, *arguments: str, release: str = "floe") -> list[Manifest]:
    done = helm("template", release, str(chart), *arguments, values=values)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


class Rendered(Mapping[str, list[Manifest]]):
    """The manifests of each variant by its name, rendered when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[str, list[Manifest]] = {}

    @cached_property
    def _job(self) -> Path:
        return with_dependencies(DBT_JOB, self._folder)

    def __getitem__(self, name: str) -> list[Manifest]:
        if name not in self._found:
            if name in JOBS:
                self._found[name] = render(self._job, {"floe-monitor": JOBS[name]})
            else:
                self._found[name] = render(CHART, VARIANTS[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*VARIANTS, *JOBS])

    def __len__(self) -> int:
        return len(VARIANTS) + len(JOBS)


def need_helm() -> None:
    if shutil.which("helm") is None:
        pytest.skip("helm is not installed")


def kustomized(directory: Path) -> list[Manifest]:
    done = subprocess.run(
        ["kubectl", "kustomize", str(directory)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr
    return list(yaml.safe_load_all(done.stdout))


def kind(manifests: list[Manifest], name: str) -> Manifest:
    return next(each for each in manifests if each["kind"] == name)


def pods(manifests: list[Manifest]) -> list[Manifest]:
    """Each pod, `metadata` and `spec`, whatever makes it."""
    found = []
    for each in manifests:
        if each["kind"] == "Pod":
            found.append(each)
        elif each["kind"] in {"Deployment", "DaemonSet", "StatefulSet"}:
            found.append(each["spec"]["template"])
        elif each["kind"] == "CronJob":
            found.append(each["spec"]["jobTemplate"]["spec"]["template"])
    return found


def containers(pod: Manifest) -> list[Manifest]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def monitor_pod(manifests: list[Manifest]) -> Manifest:
    return next(pod for pod in pods(manifests) if any(c["name"] == "floe-monitor" for c in containers(pod)))


def monitor(manifests: list[Manifest]) -> Manifest:
    return next(each for each in containers(monitor_pod(manifests)) if each["name"] == "floe-monitor")
