"""The process that answers for dbt: whatever a run starts or asks for, the next request is answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import conformance

# In dbt's place: reads what a user would type; where the profile says so, it starts a login and waits for it.
DBT = """
import pathlib, subprocess, sys, time

def cli(arguments):
    if pathlib.Path("waits").exists():
        login = subprocess.Popen(["sh", "-c", "read answer; sleep 60"])
        pathlib.Path("login").write_text(str(login.pid))
        time.sleep(60)
    sys.exit(3 if sys.stdin.read() == "" and arguments == ["debug"] else 4)
"""


@pytest.mark.process
def test_nothing_that_dbt_starts_takes_the_next_request(tmp_path: Path) -> None:
    package = tmp_path / "path" / "dbt" / "cli"
    package.mkdir(parents=True)
    (package / "main.py").write_text(DBT)
    work = tmp_path / "work"
    work.mkdir()
    (work / "waits").touch()
    request = {"arguments": ["debug"], "folder": str(work), "environment": {}, "ordinary_user": False}
    script = Path(conformance.__file__).with_name("dbt_process.py")
    with subprocess.Popen(
        [sys.executable, "-P", str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(package.parents[1])},
    ) as process:
        lines, answers = process.stdin, process.stdout
        assert lines is not None
        assert answers is not None

        def ask(timeout: float) -> object:
            print(json.dumps({**request, "timeout": timeout}), file=lines, flush=True)
            return json.loads(answers.readline())["code"]

        assert ask(1.5) is None
        login = Path("/proc") / (work / "login").read_text()
        until = time.monotonic() + 60
        while login.exists() and ") Z " not in (login / "stat").read_text():
            assert time.monotonic() < until
            time.sleep(0.02)
        (work / "waits").unlink()
        assert ask(20) == 3
        lines.close()
