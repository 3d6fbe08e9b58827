"""The gate's own rules: a skip is a failure there and nowhere else; what it prints names no package index."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.gate, pytest.mark.process]

ROOT = Path(__file__).parents[2]
CLOSING = re.compile(r"[0-9]+ (passed|failed|skipped|deselected|errors?)\b.* in [0-9.]+s")
"""What the gate looks for."""

SKIPPING = {
    "at run time": "import pytest\n\ndef test_it():\n    pytest.skip('no such program')\n",
    "by a mark": "import pytest\n\n@pytest.mark.skipif(True, reason='no such program')\ndef test_it(): ...\n",
    "as a module": "import pytest\n\npytest.skip('no such program', allow_module_level=True)\n",
    "in a fixture": "import pytest\n\n@pytest.fixture\ndef program():\n    pytest.skip('no such program')\n\n"
    "def test_it(program): ...\n",
}


def run_pytest(
    directory: Path, source: str, *options: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    shutil.copy(ROOT / "conftest.py", directory)
    (directory / "test_it.py").write_text(source + "\n\ndef test_other():\n    assert True\n")
    (directory / "pytest.ini").write_text("[pytest]\nmarkers =\n  gate\n  process\n")
    inherited = {name: value for name, value in os.environ.items() if name != "FLOE_MONITOR_CI"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, "test_it.py"],
        cwd=directory,
        env={
            **inherited,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": str(ROOT),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


BESIDE = ("-p", "xdist.plugin", "-n", "2")


@pytest.mark.parametrize(
    "options", [(), pytest.param(BESIDE, marks=pytest.mark.gate)], ids=["alone", "beside"]
)
@pytest.mark.parametrize(
    "source",
    [
        pytest.param(source, marks=[] if name == "at run time" else [pytest.mark.gate], id=name)
        for name, source in SKIPPING.items()
    ],
)
def test_a_skip_fails_the_gate_with_its_reason(tmp_path: Path, source: str, options: tuple[str, ...]) -> None:
    done = run_pytest(tmp_path, source, *options, FLOE_MONITOR_CI="1")
    assert done.returncode != 0, done.stdout
    assert "no such program" in done.stdout
    assert CLOSING.search(done.stdout.splitlines()[-1]), done.stdout


LONG = "import pytest\n\n@pytest.mark.gate\ndef test_it(): ...\n"


@pytest.mark.parametrize(
    "options", [(), pytest.param(BESIDE, marks=pytest.mark.gate)], ids=["alone", "beside"]
)
def test_the_gate_leaves_no_test_out(tmp_path: Path, options: tuple[str, ...]) -> None:
    assert "2 passed" in run_pytest(tmp_path, LONG, *options, FLOE_MONITOR_CI="1").stdout
    done = run_pytest(tmp_path, LONG, *options)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
    assert "2 passed" in run_pytest(tmp_path, LONG, *options, "-m", "gate or not gate").stdout


@pytest.mark.gate
def test_a_fast_run_starts_no_process_unseen(tmp_path: Path) -> None:
    source = "import subprocess\n\ndef test_it():\n    subprocess.run(['true'])\n"
    done = run_pytest(tmp_path, source, "--fast")
    assert "mark it `process`" in done.stdout
    assert "1 failed, 1 passed" in done.stdout
    done = run_pytest(tmp_path, source.replace("def", "import pytest\n@pytest.mark.process\ndef"), "--fast")
    assert "1 passed, 1 deselected" in done.stdout, done.stdout


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
        ["bash", "-c", f"{mask}\nmask"], input=text, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "Looking in indexes: <address> then http://127.0.0.1:9464/metrics\n"


def test_a_part_that_fails_is_in_the_table_with_its_seconds(tmp_path: Path) -> None:
    script = (ROOT / ".ci" / "run").read_text()
    mask = next(line for line in script.splitlines() if line.startswith("mask()"))
    note = next(line for line in script.splitlines() if line.startswith("note()"))
    part = script[script.index("\npart() {") :].split("\n}\n")[0] + "\n}"
    commands = "part well sh -c 'sleep 1; echo said'\npart ill sh -c 'exit 3' || echo seen $?\n"
    source = "\n".join(["set -uo pipefail; SECONDS=0; BUDGET=100", mask, note, part, commands])
    done = subprocess.run(
        ["bash", "-c", source],
        env={**os.environ, "logs": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "said" in done.stdout
    assert "seen 3" in done.stdout
    rows = [line.split() for line in (tmp_path / "parts").read_text().splitlines()]
    assert [(name, status) for name, _, status in rows] == [("well", "0"), ("ill", "3")]
    assert int(rows[0][1]) >= 1


def test_the_script_parses() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], timeout=120, check=True)
