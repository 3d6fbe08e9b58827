"""Rules for every test of the project, the plugins' included."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings

if TYPE_CHECKING:
    from collections.abc import Generator

_HARNESS = (
    "certificates",
    "distribution",
    "garbage_collection",
    "leftovers",
    "plugin_targets",
    "repeats",
    "rewriting",
    "selection",
    "timing",
)
pytest_plugins = [f"tests.harness.{name}" for name in _HARNESS]

QUICK = (Phase.explicit, Phase.reuse, Phase.generate, Phase.target)
"""Without shrinking: a failure is told at once, and `explore` makes it small."""

# No deadline for an example, nor one for making examples: both compare wall time with a constant.
UNTIMED: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("gate", derandomize=True, database=None, print_blob=True, phases=QUICK, **UNTIMED)
settings.register_profile("explore", max_examples=1_000, print_blob=True, **UNTIMED)
settings.load_profile(os.environ.get("FLOE_MONITOR_EXAMPLES", "gate"))
"""The gate tries the same examples every time; `FLOE_MONITOR_EXAMPLES=explore` looks for new ones."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background jobs ignore SIGINT, and so do the programs that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)

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
