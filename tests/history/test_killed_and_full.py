"""A history's file after its writer was killed, without power, on a full disk and on a read-only one: each in
processes and file systems of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


KILLED = textwrap.dedent(
    """
    import contextlib, os, pathlib, shutil, signal, sqlite3, sys
    from tests.history.conftest import Monitor

    def write(confirm):
        monitor = Monitor(f"sqlite:///{sys.argv[1]}")
        while True:
            for number in range(200):
                monitor.probe(f"t{number}", after=0.01)
            monitor.turn()
            assert not monitor.state.history_problem, monitor.state.history_problem
            os.write(confirm, b"%d\\n" % monitor.count("results"))

    def look(path, at_least):
        with sqlite3.connect(path) as reader:
            assert reader.execute("PRAGMA quick_check").fetchone() == ("ok",)
            (found,) = reader.execute("SELECT count(*) FROM results").fetchone()
            assert found >= at_least, (found, at_least)
            assert found % 200 == 0, "a batch is there as a whole or not at all"
        reader.close()
        return found

    def cut_power(child, at_least):
        # What stands in the files at one moment is what a machine without power has of them later.
        os.kill(child, signal.SIGSTOP)
        os.waitpid(child, os.WUNTRACED)
        copy = pathlib.Path(sys.argv[1]).with_name("cut.db")
        for suffix in ("", "-wal", "-shm"):
            copy.with_name(copy.name + suffix).unlink(missing_ok=True)
        for suffix in ("", "-wal"):  # the index of the log is made anew
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(sys.argv[1] + suffix, f"{copy}{suffix}")
        os.kill(child, signal.SIGCONT)
        look(copy, at_least)
        monitor = Monitor(f"sqlite:///{copy}")
        monitor.probe("a")
        monitor.turn()
        assert not monitor.state.history_problem, monitor.state.history_problem
        monitor.stop()

    for number in range(100):
        reading, confirming = os.pipe()
        child = os.fork()
        if not child:
            try:
                write(confirming)
            finally:
                os._exit(1)
        os.close(confirming)
        with os.fdopen(reading) as confirmed:
            confirmed.readline()
            at_least = int(confirmed.readline())
        if number % 10 == 0:
            cut_power(child, at_least)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = look(sys.argv[1], at_least)
    print("opened every time", found)
    """
)


@pytest.mark.process
@pytest.mark.gate
@pytest.mark.timeout(600)
def test_killed_a_hundred_times_and_without_power_it_opens_and_has_lost_nothing(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(file)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=580,
    )
    assert done.stdout.startswith("opened every time"), done.stdout + done.stderr


def in_a_file_system_of_its_own(tmp_path: Path, content: str) -> subprocess.CompletedProcess[str]:
    """A script, in a namespace of its own: root alone can make one."""
    small = tmp_path / "small"
    small.mkdir()
    script = tmp_path / "script.py"
    script.write_text(content)
    mounted = f'mount -t tmpfs -o size=12m none "{small}" && exec "{sys.executable}" "{script}" "{small}"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
        check=False,
        timeout=580,
    )


FULL = textwrap.dedent(
    """
    import os, pathlib, sys
    from tests.history.conftest import Monitor
    folder = pathlib.Path(sys.argv[1])
    monitor = Monitor(f"sqlite:///{folder}/history.db")
    for hour in range(8):
        for number in range(6000):
            monitor.probe(f"t{number % 20}", after=0.6)
        monitor.turn()
    assert not monitor.state.history_problem, monitor.state.history_problem
    assert (folder / "history.db.ballast").exists()
    before = monitor.count("results")
    with open(folder / "somebody-elses", "wb", buffering=0) as other:
        try:
            while True:
                other.write(bytes(65536))
        except OSError:
            pass
    told = []
    for _ in range(200):
        for number in range(300):
            monitor.probe(f"t{number % 20}", after=0.1)
        monitor.turn()
        if monitor.state.history_problem:
            told.append(monitor.state.history_problem)
    assert told and "full" in told[0], told
    assert not monitor.state.history_problem, monitor.state.history_problem
    [(oldest, newest)] = monitor.rows("SELECT min(at), max(at) FROM results")
    assert abs(newest / 1000 - monitor.at) < 1, "it writes again"
    os.unlink(folder / "somebody-elses")
    monitor.recorder._looked_at = 0.0
    monitor.turn()
    assert (folder / "history.db.ballast").exists(), "and keeps room for the next time"
    print("recovered", len(told), monitor.dropped)
    """
)


@pytest.mark.process
@pytest.mark.gate
@pytest.mark.timeout(600)
def test_on_a_full_disk_the_oldest_results_make_room(tmp_path: Path) -> None:
    done = in_a_file_system_of_its_own(tmp_path, FULL)
    assert done.stdout.startswith("recovered"), done.stdout + done.stderr


READ_ONLY = textwrap.dedent(
    """
    import pathlib, subprocess, sys
    from tests.history.conftest import Monitor
    folder = pathlib.Path(sys.argv[1])
    monitor = Monitor(f"sqlite:///{folder}/history.db")
    monitor.probe("a")
    monitor.stop()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    monitor.begin_anew()
    for _ in range(3):
        monitor.probe("a")
        monitor.turn()
    assert "read-only" in monitor.state.history_problem.lower(), monitor.state.history_problem
    assert monitor.count("results") == 1, "it is read all the same"
    subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
    monitor.turn()
    assert not monitor.state.history_problem, monitor.state.history_problem
    assert monitor.count("results") == 4
    print("written again")
    """
)


@pytest.mark.process
@pytest.mark.gate
def test_a_file_system_that_is_read_only_is_told_and_written_when_it_can_be(tmp_path: Path) -> None:
    done = in_a_file_system_of_its_own(tmp_path, READ_ONLY)
    assert done.stdout.startswith("written again"), done.stdout + done.stderr
