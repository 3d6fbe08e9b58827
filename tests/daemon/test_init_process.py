"""Whole processes. A subreaper stands in for process 1: the kernel gives it the orphans below it likewise."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.process

BEGIN = """
import ctypes, os, signal, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1)  # PR_SET_CHILD_SUBREAPER
from floe_monitor.daemon.init_process import fork_from_init
def told(number, frame):
    os.write(1, f"told {signal.Signals(number).name}\\n".encode())  # print may be what it interrupts
    if number == signal.SIGTERM:
        os._exit(7)
for number in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, told)
fork_from_init()
"""


@pytest.fixture
def start() -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([sys.executable, "-c", BEGIN + script], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        with process:
            process.terminate()  # it passes this on, and waits for its child
            try:
                process.wait(60)
            finally:
                process.kill()


def states(parent: int) -> list[str]:
    """The state letter of each child of a process."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == parent:
                found.append(fields[0])
    return found


def test_orphans_do_not_stay(start: Callable[[str], subprocess.Popen[str]]) -> None:
    process = start(
        "for _ in range(5):\n    subprocess.run(['sh', '-c', '(sleep 0.2 &)'], check=True)\n"
        "print('orphaned', flush=True)\ntime.sleep(60)"
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "orphaned\n"
    give_up = time.monotonic() + 20
    while len(left := states(process.pid)) > 1:
        assert time.monotonic() < give_up, left
        time.sleep(0.02)
    assert left != ["Z"]


def test_the_child_waits_for_its_own_children(start: Callable[[str], subprocess.Popen[str]]) -> None:
    process = start("print([subprocess.call(['sh', '-c', f'exit {n}']) for n in range(4)], flush=True)")
    assert process.stdout is not None
    assert process.stdout.readline() == "[0, 1, 2, 3]\n"
    assert process.wait(20) == 0


def test_signals_are_passed_on_and_the_exit_status_returned(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start("print('ready', flush=True)\nwhile True: time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    assert process.stdout.readline() == "told SIGHUP\n"
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == "told SIGTERM\n"
    assert process.wait(20) == 7


def test_a_child_that_is_killed_is_told_as_a_shell_does(
    start: Callable[[str], subprocess.Popen[str]],
) -> None:
    process = start("os.kill(os.getpid(), signal.SIGKILL)")
    assert process.wait(20) == 128 + signal.SIGKILL


@pytest.mark.e2e
def test_as_process_1(tmp_path: Path) -> None:
    unshare = [shutil.which("unshare") or "", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    if not unshare[0] or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces can be made here")
    config = tmp_path / "floe-monitor.yaml"
    config.write_text("http: {port: 0}\nlog: {format: json}\ntargets: {}\n")
    command = [*unshare, sys.executable, "-m", "floe_monitor", "run", "--config", str(config)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any("status page" in line for line in process.stderr)
            (init,) = _children(process.pid)
            (daemon,) = _children(init)
            assert _namespace_pid(init) == 1
            assert _namespace_pid(daemon) > 1
            _signal(init, signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()


def _children(parent: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _namespace_pid(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("NSpid:")).split()[-1])


def _signal(pid: int, number: signal.Signals) -> None:
    subprocess.run(["kill", f"-{int(number)}", str(pid)], check=True)
