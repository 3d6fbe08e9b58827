"""A pytest plugin: a test that fails while its process stood still is repeated.

A virtual machine that is paused, or a process that gets no turn for seconds, is late with everything: the
server of a test as well as the code that it tests, and what was to be told as a limitation is then told as a
timeout. A thread that wants a turn twenty times a second sees it. What fails without a pause has failed, and
so has what fails three times.
"""

from __future__ import annotations

import threading
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

ATTEMPTS = 3
PAUSE = 1.5
"""Seconds without a turn from which on a failure is not believed."""
_TURN = 0.05
_PROPERTY = "repeated"


class TurnWatch:
    """The longest time that a thread of this process waited for its turn, in seconds, and since when."""

    def __init__(self) -> None:
        self._longest = 0.0
        self._last = time.monotonic()
        threading.Thread(target=self._take_turns, name="turn-watch", daemon=True).start()

    def begin(self) -> None:
        self._longest = 0.0

    def longest(self) -> float:
        """Since `begin`, the wait that has not ended yet included."""
        return max(self._longest, time.monotonic() - self._last - _TURN)

    def _take_turns(self) -> None:
        while True:
            time.sleep(_TURN)
            now = time.monotonic()
            self._longest = max(self._longest, now - self._last - _TURN)
            self._last = now


@cache
def _watch() -> TurnWatch:
    return TurnWatch()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    watch = _watch()
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in range(ATTEMPTS):
        watch.begin()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        stood_still = watch.longest()
        if attempt + 1 == ATTEMPTS or stood_still < PAUSE or not any(report.failed for report in reports):
            break
        item.user_properties.append((_PROPERTY, f"{stood_still:.1f} s"))
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    repeated = {
        f"{report.nodeid}: {value}"
        for reports in terminalreporter.stats.values()
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == _PROPERTY
    }
    if repeated:
        terminalreporter.section("repeated, for the process stood still")
        for line in sorted(repeated):
            terminalreporter.line(line)
