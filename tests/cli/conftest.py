from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAB = Path(__file__).parents[1] / "lab"


@dataclass(frozen=True)
class Said:
    """What one command line came to."""

    code: int
    out: str
    err: str


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, free of the outer world's settings, with the lab plugin to be found."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("FLOE_MONITOR_") or name in ("NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.syspath_prepend(str(LAB))
    return tmp_path


@pytest.fixture
def configure(place: Path) -> Callable[..., Path]:
    def write(targets: dict[str, Any], name: str = "floe-monitor.yaml", **rest: Any) -> Path:
        path = place / name
        path.write_text(yaml.safe_dump({**rest, "targets": targets}, sort_keys=False))
        return path

    return write


@pytest.fixture
def call(place: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """A command line in this process."""

    def run_line(*words: str) -> Said:
        from floe_monitor.cli.entry import run

        capfd.readouterr()
        code = run(words)
        sys.stdout.flush()
        said = capfd.readouterr()
        return Said(code, said.out, said.err)

    return run_line


@pytest.fixture
def process(place: Path, starts_processes: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A command line in a process of its own, ended with the test."""
    begun: list[subprocess.Popen[str]] = []

    def start(*words: str, **environ: str) -> subprocess.Popen[str]:
        running = subprocess.Popen(
            [sys.executable, "-m", "floe_monitor", *words],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(LAB), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        begun.append(running)
        return running

    yield start
    for running in begun:
        running.kill()
        running.wait()
        for pipe in (running.stdout, running.stderr):
            if pipe is not None:
                pipe.close()
