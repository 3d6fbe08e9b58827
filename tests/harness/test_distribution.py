"""A file's tests, and those of files that share a server, stay on one worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.distribution import LONGEST, SHARING, group_of

ROOT = Path(__file__).parents[2]

SERVER = """
import os, pathlib, pytest

@pytest.fixture(scope="session")
def server(starts_processes):
    with open(pathlib.Path(__file__).with_name("starts"), "a") as file:
        print(os.environ["PYTEST_XDIST_WORKER"], file=file)
"""
USING = """
import pytest

@pytest.mark.parametrize("number", range(20))
def test_it(server, number): ...
"""


def test_the_names_are_of_files_that_are_there() -> None:
    for name in LONGEST:
        assert name in SHARING.values() or (ROOT / name).is_file(), name
    for beginning in SHARING:
        assert any(ROOT.glob(f"{beginning}*")), beginning
    assert group_of("plugins/postgres/tests/test_tls.py::test_it[a::b]") == "postgres"
    assert group_of("tests/web/test_page.py::TestIt::test_it") == "tests/web/test_page.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = process\n")
    return tmp_path


def run(project: Path) -> subprocess.CompletedProcess[str]:
    options = ["-p", "no:cacheprovider", "-p", "xdist.plugin", "-q", "-n", "2"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=project,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.gate
@pytest.mark.process
def test_a_server_is_started_once(project: Path) -> None:
    folder = project / "plugins" / "postgres"
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_text(SERVER)
    for name in ("test_one.py", "test_two.py"):
        (folder / name).write_text(USING)
    done = run(project)
    assert "40 passed" in done.stdout, done.stdout
    assert len((folder / "starts").read_text().split()) == 1


@pytest.mark.process
@pytest.mark.gate
def test_a_server_that_two_groups_share_is_told(project: Path) -> None:
    (project / "conftest.py").write_text((project / "conftest.py").read_text() + SERVER.lstrip())
    for name in ("test_one.py", "test_two.py"):
        (project / name).write_text(USING)
    done = run(project)
    assert "add to SHARING" in done.stdout
    assert "40 errors" in done.stdout, done.stdout
