"""The gate's own rules: a skip is a failure there and nowhere else; what it prints names no package index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

SKIPPING = {
    "at run time": "import pytest\n\ndef test_it():\n    pytest.skip('no such program')\n",
    "by a mark": "import pytest\n\n@pytest.mark.skipif(True, reason='no such program')\ndef test_it(): ...\n",
    "as a module": "import pytest\n\npytest.skip('no such program', allow_module_level=True)\n",
    "in a fixture": "import pytest\n\n@pytest.fixture\ndef program():\n    pytest.skip('no such program')\n\n"
    "def test_it(program): ...\n",
}


def run_pytest(directory: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "conftest.py", directory)
    (directory / "test_it.py").write_text(source + "\n\ndef test_other():\n    assert True\n")
    (directory / "pytest.ini").write_text("[pytest]\n")
    inherited = {name: value for name, value in os.environ.items() if name != "FLOE_MONITOR_CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_it.py"],
        cwd=directory,
        env={**inherited, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize("source", SKIPPING.values(), ids=SKIPPING.keys())
def test_a_skip_fails_the_gate_with_its_reason(tmp_path: Path, source: str) -> None:
    done = run_pytest(tmp_path, source, FLOE_MONITOR_CI="1")
    assert done.returncode != 0, done.stdout
    assert "no such program" in done.stdout


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SKIPPING["at run time"])
    assert done.returncode == 0, done.stdout
    assert "1 passed, 1 skipped" in done.stdout


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    assert False\n"
    done = run_pytest(tmp_path, source, FLOE_MONITOR_CI="1")
    assert done.returncode == 0, done.stdout


def test_addresses_are_masked_but_not_those_of_the_tests() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    mask = next(line for line in script.splitlines() if line.startswith("mask()"))
    text = "Looking in indexes: https://user:pw@index.example/simple, then http://127.0.0.1:9464/metrics\n"
    done = subprocess.run(
        ["bash", "-c", f"{mask}\nmask"], input=text, capture_output=True, text=True, timeout=10, check=True
    )
    assert done.stdout == "Looking in indexes: <address> then http://127.0.0.1:9464/metrics\n"


def test_the_script_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], timeout=10, check=True)
