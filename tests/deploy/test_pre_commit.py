"""The pre-commit hooks are `make lint`, and download nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / ".pre-commit-config.yaml"
PRE_COMMIT = [sys.executable, "-m", "pre_commit"]


def hooks() -> list[dict[str, Any]]:
    repositories = yaml.safe_load(CONFIGURATION.read_text())["repos"]
    assert {each["repo"] for each in repositories} == {"local"}
    return [hook for each in repositories for hook in each["hooks"]]


def commands(*make: str) -> list[str]:
    """What make would run, the set-up of the environment left out."""
    done = subprocess.run(
        [*make, "--dry-run", "--old-file=.venv/dev.done"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.process
def test_the_hooks_run_what_make_lint_runs() -> None:
    one_by_one = [line for hook in hooks() for line in commands(*shlex.split(hook["entry"]))]
    assert one_by_one == commands("make", "--no-print-directory", "lint")
    assert any("ruff" in line for line in one_by_one)


def test_no_hook_has_an_environment_or_a_selection_of_its_own() -> None:
    for hook in hooks():
        assert hook["language"] == "system", "anything else is downloaded"
        assert "additional_dependencies" not in hook
        assert (hook["pass_filenames"], hook["always_run"]) == (False, True)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("broken", [None, *(hook["id"] for hook in hooks())])
def test_a_commit_is_refused_where_one_of_them_fails(tmp_path: Path, broken: str | None) -> None:
    """By git itself, in a repository whose make has the same targets."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copy(CONFIGURATION, project)
    recipes = [
        f"{hook['id']}:\n\t@echo ran >>ran\n\t@{'false' if hook['id'] == broken else 'true'}\n"
        for hook in hooks()
    ]
    (project / "Makefile").write_text("".join(recipes))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"PRE_COMMIT_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, timeout=50, check=False
        )

    assert run("git", "init", "--quiet").returncode == 0
    installed = run(*PRE_COMMIT, "install")
    assert installed.returncode == 0, installed.stderr
    run("git", "add", "Makefile", ".pre-commit-config.yaml")
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.invalid"]
    committed = run("git", *identity, "commit", "--message", "first")
    assert (committed.returncode == 0) == (broken is None), committed.stdout + committed.stderr
    assert (project / "ran").read_text().split() == ["ran"] * len(hooks())
    downloaded = [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert downloaded == []
