"""Late is late, unless the machine is."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from floe_monitor.testing.punctuality import Control

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.process

LATE = 6.0


@pytest.fixture
def fresh() -> Iterator[Control]:
    with Control() as control:
        yield control


def pid(control: Control) -> int:
    assert control._process is not None
    return control._process.pid


def test_in_time_is_in_time(fresh: Control) -> None:
    with fresh.within(30):
        time.sleep(0.01)


def test_late_by_itself_fails(fresh: Control) -> None:
    # As late as no load of this machine excuses.
    with (
        pytest.raises(AssertionError, match=r"beyond 0\.1 s, where"),
        fresh.within(0.1),
    ):
        time.sleep(LATE)


def test_who_holds_the_interpreter_is_not_excused(fresh: Control) -> None:
    with pytest.raises(AssertionError, match="were allowed"), fresh.within(0.1):
        ctypes.PyDLL(None).usleep(int(LATE * 1_000_000))


def test_late_with_the_machine_passes(fresh: Control) -> None:
    """A control that is stopped meanwhile stands in for a machine that stands still."""
    going_on = threading.Timer(0.5, os.kill, [pid(fresh), signal.SIGCONT])
    os.kill(pid(fresh), signal.SIGSTOP)
    going_on.start()
    with fresh.within(0.1):
        time.sleep(0.4)
    going_on.join()


def test_many_at_once(fresh: Control) -> None:
    outcomes: list[str] = []

    def run(seconds: float, took: float) -> None:
        try:
            with fresh.within(seconds):
                time.sleep(took)
        except AssertionError:
            outcomes.append("late")
        else:
            outcomes.append("in time")

    threads = [threading.Thread(target=run, args=each) for each in [(0.1, LATE), (60, 0.1)] * 8]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in time"] * 8 + ["late"] * 8


def test_what_the_block_raises_comes_out(fresh: Control) -> None:
    with pytest.raises(KeyError), fresh.within(0, 0):
        raise KeyError


def test_nothing_is_left() -> None:
    threads = threading.active_count()
    with Control() as control:
        process = pid(control)
        with control.within(0, 5):
            assert threading.active_count() == threads
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
