"""Fragments of the changelog: each is named so that towncrier finds it, and comes out as an entry."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECTIONS = {
    each["directory"]: each["name"]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
}
FRAGMENTS = sorted(path for path in (ROOT / "changelog.d").iterdir() if path.name != "README.md")


def towncrier(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "towncrier",
            "build",
            "--version",
            "9.9.9",
            "--date",
            "2030-01-01",
            *arguments,
        ],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The configuration and the changelog, without any fragment."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "CHANGELOG.md", tmp_path)
    (tmp_path / "changelog.d").mkdir()
    shutil.copy(ROOT / "changelog.d" / "README.md", tmp_path / "changelog.d")
    return tmp_path


def test_fragments_have_valid_names_and_one_entry_each() -> None:
    for fragment in FRAGMENTS:
        name = re.fullmatch(r"\+[a-z0-9-]+\.([a-z]+)\.md", fragment.name)
        assert name, f"{fragment.name}: a fragment is called +a-few-words.SECTION.md"
        assert name[1] in SECTIONS, f"{fragment.name}: sections are {', '.join(SECTIONS)}"
        text = fragment.read_text()
        assert re.fullmatch(r"[^\s#*-].*[.:]\n", text, re.DOTALL), (
            f"{fragment.name}: one entry, without a bullet"
        )


def test_a_heading_is_a_release_as_towncrier_writes_it_or_what_was_before_all() -> None:
    *releases, oldest = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert oldest == "Before the first release"
    versions = [re.fullmatch(r"(\d+\.\d+\.\d+) \(\d{4}-\d\d-\d\d\)", release) for release in releases]
    assert all(versions), releases
    assert len({version[1] for version in versions if version}) == len(releases)


@pytest.mark.process
def test_the_draft_of_what_is_there_has_every_entry(project: Path) -> None:
    shutil.copytree(ROOT / "changelog.d", project / "changelog.d", dirs_exist_ok=True)
    drafted = towncrier(project, "--draft")
    assert drafted.returncode == 0, drafted.stderr
    entries = re.findall(r"^- .*(?:\n  .*)*", drafted.stdout, re.MULTILINE)
    assert len(entries) == len({fragment.read_text() for fragment in FRAGMENTS})


@pytest.mark.process
def test_each_section_becomes_a_heading_above_what_was_there(project: Path) -> None:
    for section in SECTIONS:
        (project / "changelog.d" / f"+a-change.{section}.md").write_text(f"A change of `{section}`.\n")
    built = towncrier(project, "--keep")
    assert built.returncode == 0, built.stdout + built.stderr
    text = (project / "CHANGELOG.md").read_text()
    before, marker, after = (ROOT / "CHANGELOG.md").read_text().partition("release notes start -->\n")
    wanted = "".join(f"\n### {name}\n\n- A change of `{section}`.\n\n" for section, name in SECTIONS.items())
    squeezed = re.sub(r"\n{2,}", "\n\n", f"{before}{marker}\n## 9.9.9 (2030-01-01)\n{wanted}{after}")
    assert re.sub(r"\n{2,}", "\n\n", text) == squeezed


@pytest.mark.parametrize("name", ["+a-change.nonsense.md", "a-change.md", "+a-change"])
@pytest.mark.process
def test_a_name_that_towncrier_would_pass_over_is_refused(project: Path, name: str) -> None:
    (project / "changelog.d" / name).write_text("Something.\n")
    assert towncrier(project, "--draft").returncode != 0
