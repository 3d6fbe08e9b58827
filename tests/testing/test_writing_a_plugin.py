"""docs/writing-a-plugin.md, taken literally: its files are built, installed, discovered and judged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
FILE = re.compile(r'^```\w+ title="(?P<path>[^"]+)"\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Path:
    """The document's files, and beside them in `site` the distribution that pip makes of them."""
    root = tmp_path_factory.mktemp("acme-floe-sqlite")
    for match in FILE.finditer(DOCUMENT.read_text()):
        path = root / match["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"])
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    installed = run(root, "-m", "pip", "install", *options, "--target", "site", ".")
    assert installed.returncode == 0, installed.stderr
    return root


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={
            **os.environ,
            "PYTHONPATH": str(project / "site"),
            "NO_COLOR": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_every_file_of_the_document_is_there(project: Path) -> None:
    assert (project / "acme_floe_sqlite" / "__init__.py").is_file()
    assert (project / "tests" / "test_conformance.py").is_file()
    assert "plugin: sqlite" in (project / "config.yaml").read_text()


def test_the_plugin_is_discovered(project: Path) -> None:
    source = (
        "from floe_monitor.registry.discovery import discover\n"
        "entry = discover().get('sqlite')\n"
        "print(entry.provenance, entry.target, entry.problem)"
    )
    done = run(project, "-W", "error", "-c", source)
    assert done.stdout.strip() == "acme-floe-sqlite 0.1.0 acme_floe_sqlite:SQLitePlugin None", done.stderr


def test_the_plugin_conforms(project: Path) -> None:
    done = run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir=.", "tests")
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.match(r"\d\d passed in", last), last


def test_the_monitor_lists_and_checks_it(project: Path) -> None:
    listed = run(project, "-m", "floe_monitor", "plugins", "list")
    assert "sqlite" in listed.stdout, listed.stderr
    assert "acme-floe-sqlite" in listed.stdout
    made = run(
        project, "-c", "import sqlite3; sqlite3.connect('numbers.sqlite').execute('CREATE TABLE numbers (n)')"
    )
    assert made.returncode == 0, made.stderr
    checked = run(project, "-m", "floe_monitor", "check", "--config", "config.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "numbers" in checked.stdout


def test_commands_name_files_and_options_that_exist() -> None:
    """What the tests above do differently (another environment) they do on what the document says."""
    text = DOCUMENT.read_text()
    for command in ("floe-monitor plugins list", "floe-monitor check --config config.yaml", "pytest tests"):
        assert f".venv/bin/{command}" in text
