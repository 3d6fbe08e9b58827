"""Real distributions, made of nothing but metadata and modules, for the import system to find."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLUGIN = """
from floe_monitor.compute import ComputePlugin, ConnectionResult, ConnectionStatus

class Plugin(ComputePlugin):
    name = "{name}"
    version = "1.0.0"
    floe_api_version = "1.0"
    is_self_hosted = True

    def validate_connection(self, config):
        return ConnectionResult(ConnectionStatus.HEALTHY, 1.0, "{message}")

    def generate_dbt_profile(self, config):
        return {{"type": self.name}}

    def get_required_dbt_packages(self):
        return ["dbt-{name}"]
"""


@dataclass
class Site:
    """A directory on the import path, as an installer would leave it."""

    path: Path
    modules: list[str] = field(default_factory=list)

    def module(self, name: str, source: str) -> None:
        (self.path / f"{name}.py").write_text(textwrap.dedent(source))
        self.modules.append(name)
        importlib.invalidate_caches()

    def plugin(self, module: str, name: str, message: str = "") -> str:
        """A module with a working plugin; returns its entry point's value."""
        self.module(module, PLUGIN.format(name=name, message=message))
        return f"{module}:Plugin"

    def distribution(
        self, name: str, points: dict[str, str], version: str = "1.0", group: str = "floe.computes"
    ) -> Path:
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"{point} = {target}" for point, target in points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
        importlib.invalidate_caches()
        return info


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.syspath_prepend(str(path))
    made = Site(path)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def run_python(source: str, *arguments: str, path: Path | None = None, timeout: float = 60) -> Any:
    """Run `source` in a fresh interpreter; what it prints last, read as JSON."""
    environ = dict(os.environ)
    if path is not None:
        environ["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(source), *arguments],
        capture_output=True,
        text=True,
        env=environ,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(name="run_python")
def run_python_fixture() -> Any:
    return run_python
