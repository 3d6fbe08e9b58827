"""Lower bounds are those that the tests were run with: `make test-lowest` has exactly these."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))]
PINS = {
    canonicalize_name(name): Version(version)
    for name, version in re.findall(
        r"^([A-Za-z0-9._-]+)==(\S+)", (ROOT / "requirements" / "lowest.txt").read_text(), re.MULTILINE
    )
}


@pytest.mark.parametrize("path", PROJECTS, ids=lambda path: path.parent.name)
def test_each_lower_bound_is_what_test_lowest_installs(path: Path) -> None:
    project = tomllib.loads(path.read_text())["project"]
    wrong = []
    extras = project.get("optional-dependencies", {})
    chosen = [text for extra in ("history", "notifications", "otlp-grpc") for text in extras.get(extra, ())]
    for text in (*project["dependencies"], *chosen):
        wanted = Requirement(text)
        if wanted.name == "floe-monitor":
            continue
        lowest = [each.version for each in wanted.specifier if each.operator in {">=", "=="}]
        assert len(lowest) == 1, f"{text} has no lower bound"
        pinned = PINS[canonicalize_name(wanted.name)]
        if Version(lowest[0]) != pinned:
            wrong.append(f"{text}: {pinned} is the lowest there is beside the others")
    assert not wrong, "raise the bounds, then make lock"


def test_the_project_and_every_plugin_are_resolved_together() -> None:
    lines = (ROOT / "requirements" / "lowest.in").read_text().splitlines()
    paths = (line.removeprefix("-e ") for line in lines if line.startswith("-e "))
    given = {(ROOT / "requirements" / path).resolve() for path in paths}
    assert given == {path.parent for path in PROJECTS}
