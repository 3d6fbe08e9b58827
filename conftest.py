"""Rules for every test of the project, the plugins' included."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

NOTHING_MAY_SKIP = os.environ.get("FLOE_MONITOR_CI") == "1"
"""Where every program is installed, a skipped test hides a fault."""


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        path, line, message = report.longrepr
        return f"{path}:{line}: {message}"
    return str(report.longrepr)


def _forbid_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if NOTHING_MAY_SKIP and report.skipped and not hasattr(report, "wasxfail"):
        report.longrepr = f"skipped although FLOE_MONITOR_CI=1 is set: {_reason(report)}"
        report.outcome = "failed"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _forbid_skip(report)
    return report
