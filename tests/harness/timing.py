"""A pytest plugin: the control that bounds in wall time are held against."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from floe_monitor.testing.punctuality import Control, shared_control

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


LINUX = sys.platform == "linux"


def pytest_sessionfinish() -> None:
    """The plugins' kit uses the control without the fixture."""
    if shared_control.cache_info().currsize:
        shared_control().__exit__()
        shared_control.cache_clear()


@pytest.fixture(scope="session")
def control() -> Control:
    return shared_control()


@pytest.fixture
def unhurried() -> Callable[[float], float]:
    """A timeout that leaves the steps before an ill one the time they have on an idle machine.

    By how many threads there are for a core, in the last minute and now: eight times as long at most.
    """

    def stretch(seconds: float) -> float:
        running = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0]) if LINUX else 0
        return seconds * min(8.0, max(1.0, max(os.getloadavg()[0], running) / (os.cpu_count() or 1)))

    return stretch


@pytest.fixture
def patience() -> Callable[[Callable[[], object], float], float]:
    """`patience(well, seconds)`: the timeout to give a probe of an ill server, whose other steps are to have
    time enough: `seconds`, or six times as long as the call `well` takes on this machine now."""

    def measure(well: Callable[[], object], seconds: float) -> float:
        began = time.monotonic()
        well()
        return max(seconds, 6 * (time.monotonic() - began))

    return measure


@pytest.fixture
def within(control: Control) -> Callable[..., AbstractContextManager[None]]:
    """`with within(timeout): …` fails where that takes 0.1 s (or `margin`) longer than `timeout` seconds on a
    machine that has nothing else to do, and as much longer as a control in another process does."""
    return control.within
