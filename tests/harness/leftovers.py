"""A pytest plugin: whatever a run starts ends with it. Linux; elsewhere it does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.harness.watchdog import VARIABLE

WATCHDOG = Path(__file__).with_name("watchdog.py")
_running = pytest.StashKey[subprocess.Popen[str]]()


def pytest_configure(config: pytest.Config) -> None:
    if sys.platform != "linux" or hasattr(config, "workerinput"):
        return  # a worker of xdist is a child like others
    # A run within a test of another run belongs to both.
    identifier = os.environ[VARIABLE] = f"{os.environ.get(VARIABLE, '')}/{uuid.uuid4().hex}"
    config.stash[_running] = subprocess.Popen(
        [sys.executable, "-I", "-S", str(WATCHDOG), str(os.getpid()), identifier],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd="/",
        start_new_session=True,  # what interrupts pytest must not reach it
    )


@pytest.hookimpl(trylast=True)  # after xdist has ended its workers
def pytest_unconfigure(config: pytest.Config) -> None:
    watchdog = config.stash.get(_running, None)
    if watchdog is None:
        return
    del config.stash[_running]
    os.environ[VARIABLE] = os.environ[VARIABLE].rpartition("/")[0]
    try:
        said, _ = watchdog.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        return  # it goes on without us
    for process in said.splitlines():
        print(f"left running by a test, ended now: {process}", file=sys.stderr)
