"""A pytest plugin: which failures are not believed at once.

A virtual machine that is paused, or a process that gets no turn for seconds, is late with everything: the
server of a test as well as the code that it tests, and what was to be told as a limitation is then told as a
timeout. A thread that wants a turn twenty times a second sees it, and what failed meanwhile is repeated.

The gate runs thousands of tests of processes, servers and deadlines on two cores, and one that fails there
by the machine's doing tells nothing about the code: there (FLOE_MONITOR_CI=1) a failed test is repeated once,
as CPython's own test runner does, with whatever it shares begun anew. The end of the run names it and what it
failed of. More than `TOLERATED` such tests are a failure of the run.
"""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

ATTEMPTS = 3
"""At most, for a test whose process stood still."""
PAUSE = 1.5
"""Seconds without a turn from which on a failure is not believed."""
TOLERATED = 5
"""Tests that fail in the gate and pass when repeated."""
_TURN = 0.05
_PROPERTY = "repeated"

_attempts = pytest.StashKey[int]()


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
    attempt = item.stash[_attempts] = item.stash.get(_attempts, 0) + 1
    if attempt == 1:
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    _watch().begin()
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    failed = [report for report in reports if report.failed]
    reason = _reason_to_repeat(attempt, _watch().longest()) if failed else None
    if reason and _begun_anew(item):
        item.user_properties.append((_PROPERTY, f"{reason}\n{failed[0].longreprtext}"))
        # As a whole, for each attempt to have the time limit that one has.
        item.ihook.pytest_runtest_protocol(item=item, nextitem=nextitem)
        return True
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reason_to_repeat(attempt: int, stood_still: float) -> str | None:
    if attempt < ATTEMPTS and stood_still >= PAUSE:
        return f"the process stood still for {stood_still:.1f} s"
    if attempt == 1 and os.environ.get("FLOE_MONITOR_CI") == "1":
        return "failed in the gate"
    return None


def _begun_anew(item: pytest.Item) -> bool:
    """Ends all fixtures, those shared with other tests included; False where one does not end well."""
    try:
        item.session._setupstate.teardown_exact(None)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - a fixture's own; the reports at hand stand
        return False
    return True


def _repeated(reporter: TerminalReporter) -> dict[str, list[str]]:
    """What each repeated test failed of before, by its identifier."""
    return {
        report.nodeid: told
        for reports in reporter.stats.values()
        for report in reports
        if (told := [text for name, text in getattr(report, "user_properties", ()) if name == _PROPERTY])
    }


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter: TerminalReporter | None = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and len(_repeated(reporter)) > TOLERATED and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    repeated = _repeated(terminalreporter)
    if not repeated:
        return
    terminalreporter.section("repeated")
    for identifier, told in sorted(repeated.items()):
        for text in told:
            terminalreporter.line(f"{identifier}: {text}")
    if len(repeated) > TOLERATED:
        terminalreporter.line(
            f"{len(repeated)} tests were repeated: more than {TOLERATED} are a failure of the run"
        )
