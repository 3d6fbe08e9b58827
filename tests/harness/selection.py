"""A pytest plugin: which tests run.

`gate` marks what takes long for what it finds: it runs where FLOE_MONITOR_CI=1 (the gate), or where it is
named by `-m` or by its node's identifier. `--fast` leaves out what starts a process or a server, or is
slow; a test that starts one all the same fails there and is told which mark it lacks.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

FAST = "not process and not server and not e2e and not slow and not gate"
SERVING = {"serving", "standin"}
"""Fixtures that start a server, in the process of the test."""
STARTING = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}
"""Audit events."""
KIT = {
    "test_importing_is_cheap_and_silent": "process",
    "test_silent_name_service": "process",
    "test_fault_of_the_network": "slow",
    "test_leaves_nothing_behind": "slow",
}
"""The plugins' kit cannot use marks of ours."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help=f"only what starts no process: -m '{FAST}'")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--fast"):
        config.option.markexpr = FAST


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("--fast"):
        sys.addaudithook(_forbid_processes)


def _forbid_processes(event: str, arguments: tuple[Any, ...]) -> None:
    if event in STARTING and "PYTEST_CURRENT_TEST" in os.environ and "control_process" not in str(arguments):
        raise RuntimeError(
            "this test starts a process: mark it `process`, or have its fixture ask for starts_processes"
        )


@pytest.hookimpl(tryfirst=True)  # before -m deselects
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_to_the_gate(config, items)
    for item in items:
        if not isinstance(item, pytest.Function):
            continue
        if _starts_a_process(item):
            item.add_marker("process")
        if SERVING.intersection(item.fixturenames):
            item.add_marker("server")
        if item.originalname in KIT:
            item.add_marker(KIT[item.originalname])


def _leave_to_the_gate(config: pytest.Config, items: list[pytest.Item]) -> None:
    named = config.getoption("markexpr") or any("::" in str(argument) for argument in config.args)
    if os.environ.get("FLOE_MONITOR_CI") == "1" or named:
        return
    left = [item for item in items if item.get_closest_marker("gate")]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if not item.get_closest_marker("gate")]


def _starts_a_process(item: pytest.Function) -> bool:
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    return "starts_processes" in item.fixturenames or parameters.get("isolation") == "process"
