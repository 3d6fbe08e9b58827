"""Runs the kit over plugins with one fault each, and tells what it said of each."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

FAULTS = Path(__file__).parent / "faults"
Verdicts: TypeAlias = dict[str, dict[str, str]]
"""By class and test: the message of what failed; empty where it passed."""


@pytest.fixture(scope="session")
def verdicts_on(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Iterable[str]], Verdicts]:
    """Runs a file of `faults` beside a distribution that has those entry points, in a process of its own.

    Who uses it asks for `starts_processes`.
    """

    def run(file: str, entry_points: Iterable[str]) -> Verdicts:
        site = tmp_path_factory.mktemp("site")
        (site / "fake_driver.py").touch()
        (site / "heavy_plugin.py").write_text(
            "import fake_driver\nfrom faulty_plugins import Heavy\nprint('heavy is here')\n"
        )
        info = site / "faulty-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("\n".join(["[floe.computes]", *entry_points, ""]))
        report = site / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={site}"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", str(FAULTS / file)],
            cwd=site,  # one of the faults is to leave a file behind
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(site), str(FAULTS)]),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            },
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 1, done.stdout[-3000:] + done.stderr[-3000:]
        return _read(report)

    return run


def _read(report: Path) -> Verdicts:
    found: Verdicts = {}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own report
        bad = [child for child in case if child.tag in {"failure", "error", "skipped"}]
        name = case.get("name", "").removeprefix("test_")
        plugin = case.get("classname", "").rpartition(".Test")[2]
        found.setdefault(plugin, {})[name] = bad[0].get("message", "") or "failed" if bad else ""
    return found
