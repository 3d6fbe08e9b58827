"""A loop that does not turn ends its process, whoever holds the interpreter's lock."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.process

HOLDING = """
import ctypes, sys, threading
import anyio
from floe_monitor.daemon.watchdog import Watchdog

def hold_the_lock():
    ctypes.PyDLL(None).sleep(600)

async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Watchdog(float(sys.argv[1])).run)
        await anyio.sleep(float(sys.argv[2]))
        if sys.argv[3] == "hold":
            threading.Thread(target=hold_the_lock).start()
            await anyio.sleep(600)
        tasks.cancel_scope.cancel()
    # It is disarmed: no loop turns any more, and nothing ends the process.
    threading.Event().wait(0.5)
    print("ended in order")
anyio.run(main)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HOLDING, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_native_code_that_holds_the_lock_is_named_and_ended() -> None:
    done = run("3", "0", "hold")
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert "hold_the_lock" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pipes are opened anew through /proc")
def test_a_full_standard_error_does_not_keep_the_process() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    try:
        process = subprocess.Popen([sys.executable, "-c", HOLDING, "3", "0", "hold"], stderr=writing)
        assert process.wait(120) == 1
        assert os.get_blocking(writing)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_loop_that_turns_goes_on_and_ends_in_order() -> None:
    """Its limit is one that no machine misses; that it is armed again shows in the daemon's own test."""
    done = run("60", "0.1", "end")
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended in order\n", "")
