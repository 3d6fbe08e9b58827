"""docs/writing-a-plugin.md, taken literally: its files are built, installed, discovered and judged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.testing import ComputePluginConformance, KeptConnectionConformance, silent_names

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = Path(__file__).parents[2] / "docs" / "writing-a-plugin.md"
BLOCK = re.compile(r'(?ms)^```(?P<kind>\w+) title="(?P<title>[^"]+)"\n(?P<text>.*?)^```$')
BLOCKS = [match.groupdict() for match in BLOCK.finditer(DOCUMENT.read_text())]
SQLITE, CLICKHOUSE = "acme-floe-sqlite", "acme-floe-clickhouse"
CONNECT = "acme_floe_clickhouse/connect.py"
NAMESPACES = pytest.mark.skipif(not silent_names.available(), reason="no network namespaces here")


@dataclass(frozen=True)
class Kit:
    """What one run of a project's tests came to: messages of what failed, by test."""

    passed: set[str]
    failed: dict[str, str]
    skipped: dict[str, str]


@pytest.fixture(scope="module")
def sqlite(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Path:
    return installed(tmp_path_factory.mktemp(SQLITE), files_of(SQLITE))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, starts_processes: None) -> Callable[[str], Kit]:
    """The kit's verdict on the plugin of ClickHouse with that text of `connect.py`."""

    def run_kit(connect: str) -> Kit:
        files = {**files_of(CLICKHOUSE), CONNECT: connect}
        return kit(installed(tmp_path_factory.mktemp(CLICKHOUSE), files))

    return run_kit


def files_of(project: str) -> dict[str, str]:
    """By path within the project; the last text of each."""
    found = [(block["title"].partition("/"), block["text"]) for block in BLOCKS]
    return {path: text for (name, _, path), text in found if name == project}


def versions_of_connect() -> list[str]:
    return [block["text"] for block in BLOCKS if block["title"] == f"{CLICKHOUSE}/{CONNECT}"]


def text_of(kind: str, title: str) -> str:
    return next(block["text"] for block in BLOCKS if (block["kind"], block["title"]) == (kind, title))


def installed(root: Path, files: dict[str, str]) -> Path:
    """The project's files, and beside them in `site` the distribution that pip makes of them."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    options = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    done = run(root, "-m", "pip", "install", *options, "--target", "site", ".")
    assert done.returncode == 0, done.stderr
    return root


def run(project: Path, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
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
        timeout=timeout,
        check=False,
    )


def kit(project: Path) -> Kit:
    report = project / "report.xml"
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--rootdir=.", f"--junitxml={report}"]
    done = run(project, "-m", "pytest", *options, "tests", timeout=240)
    assert done.returncode in {0, 1}, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, dict[str, str]] = {"passed": {}, "failure": {}, "error": {}, "skipped": {}}
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - our own report
        bad = next((child for child in case if child.tag in found), None)
        kind, message = ("passed", "") if bad is None else (bad.tag, bad.get("message", ""))
        found[kind][case.get("name", "")] = message
    assert found["error"] == {}
    return Kit(set(found["passed"]), found["failure"], found["skipped"])


def test_every_file_of_the_document_is_there(sqlite: Path) -> None:
    assert (sqlite / "acme_floe_sqlite" / "__init__.py").is_file()
    assert (sqlite / "tests" / "test_conformance.py").is_file()
    assert "plugin: sqlite" in (sqlite / "config.yaml").read_text()
    assert len(versions_of_connect()) == 2


def test_the_plugin_is_discovered(sqlite: Path) -> None:
    source = (
        "from floe_monitor.registry.discovery import discover\n"
        "entry = discover().get('sqlite')\n"
        "print(entry.provenance, entry.target, entry.problem)"
    )
    done = run(sqlite, "-W", "error", "-c", source)
    assert done.stdout.strip() == "acme-floe-sqlite 0.1.0 acme_floe_sqlite:SQLitePlugin None", done.stderr


def test_the_plugin_conforms(sqlite: Path) -> None:
    verdict = kit(sqlite)
    assert verdict.failed == {}
    assert verdict.skipped == {}
    assert len(verdict.passed) > 40


def test_the_monitor_lists_and_checks_it(sqlite: Path) -> None:
    listed = run(sqlite, "-m", "floe_monitor", "plugins", "list")
    assert "sqlite" in listed.stdout, listed.stderr
    assert "acme-floe-sqlite" in listed.stdout
    made = run(
        sqlite, "-c", "import sqlite3; sqlite3.connect('numbers.sqlite').execute('CREATE TABLE numbers (n)')"
    )
    assert made.returncode == 0, made.stderr
    checked = run(sqlite, "-m", "floe_monitor", "check", "--config", "config.yaml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "numbers" in checked.stdout


@NAMESPACES
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.gate
def test_a_plugin_without_timeouts_fails_as_the_document_says(tried: Callable[[str], Kit]) -> None:
    verdict = tried(versions_of_connect()[0])
    assert_fails_as_told(verdict, "without timeouts")
    told = re.search(r"^(\d+) tests pass, and (\d+) fail\.", DOCUMENT.read_text(), re.MULTILINE)
    assert told is not None
    assert (len(verdict.passed), len(verdict.failed)) == (int(told[1]), int(told[2]))


@NAMESPACES
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.gate
def test_a_timeout_of_each_operation_is_not_enough(tried: Callable[[str], Kit]) -> None:
    text = versions_of_connect()[0]
    for hunk in text_of("diff", CONNECT).split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    assert_fails_as_told(tried(text), "with a timeout in every call")


@NAMESPACES
@pytest.mark.slow
@pytest.mark.gate
@pytest.mark.timeout(300)
def test_a_few_lines_of_toolkit_make_it_pass(tried: Callable[[str], Kit]) -> None:
    verdict = tried(versions_of_connect()[-1])
    assert verdict.failed == {}
    assert verdict.skipped == {}
    assert f"Now all {len(verdict.passed)} tests pass." in DOCUMENT.read_text()


def assert_fails_as_told(verdict: Kit, title: str) -> None:
    told = dict(line.split(": ", 1) for line in text_of("text", title).splitlines())
    assert set(verdict.failed) == set(told), verdict.failed
    for test, message in told.items():
        assert verdict.failed[test].removeprefix("Failed: ").startswith(message), test
    assert verdict.skipped == {}


def test_a_target_is_pointed_elsewhere_by_its_url() -> None:
    defined: dict[str, Any] = {}
    exec(text_of("python", "test_by_url.py"), defined)  # noqa: S102 - what the document says
    by_url = defined["ByUrl"]()
    keys = {"connection": {"url": "http://127.0.0.1:8123/base?x=1", "more": 1}}
    assert by_url.server_of(keys) == ("127.0.0.1", 8123)
    there = {"connection": {"url": "http://127.0.0.1:9/base?x=1", "more": 1}}
    assert by_url.pointed_at(keys, "127.0.0.1", 9) == there


def test_every_test_of_the_kit_is_described() -> None:
    described = re.findall(r"^\|[^|]*\| `(test_\w+)` \|", DOCUMENT.read_text(), re.MULTILINE)
    tests = {*dir(ComputePluginConformance), *dir(KeptConnectionConformance)}
    assert sorted(described) == sorted(name for name in tests if name.startswith("test_"))


def test_commands_name_files_and_options_that_exist() -> None:
    """What the tests above do differently (another environment) they do on what the document says."""
    text = DOCUMENT.read_text()
    for command in ("floe-monitor plugins list", "floe-monitor check --config config.yaml", "pytest tests"):
        assert f".venv/bin/{command}" in text
