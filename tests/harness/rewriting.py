"""A pytest plugin: each worker of a run rewrites a part of the test modules that all are about to import.

pytest rewrites the assertions of a test module when it is first imported, and keeps the outcome in a file. In
a new working copy no such file exists: every worker would rewrite every module, which takes longer than all
else that it does before its first test.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from _pytest.assertion import rewrite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    config = session.config
    worker = getattr(config, "workerinput", None)
    if worker is None or sys.dont_write_bytecode or config.getoption("assertmode") != "rewrite":
        return
    modules = sorted(_modules(config))
    # Each begins elsewhere and goes on until all are done, whoever did them: none waits for another.
    begin = len(modules) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for module in modules[begin:] + modules[:begin]:
        rewrite_module(module, config)


def _modules(config: pytest.Config) -> Iterator[Path]:
    for argument in config.args:
        path = config.invocation_params.dir / argument.partition("::")[0]
        yield from path.rglob("test_*.py") if path.is_dir() else [path]


def rewrite_module(module: Path, config: pytest.Config) -> None:
    """Do what pytest's import hook does with a module of which nothing is kept, without running it."""
    folder = rewrite.get_cache_dir(module)
    kept = folder / f"{module.stem}{rewrite.PYC_TAIL}"
    try:
        if kept.exists() and kept.stat().st_mtime >= module.stat().st_mtime:
            return
        version, code = rewrite._rewrite_test(module, config)
    except (OSError, SyntaxError, ValueError):
        return  # told where it is collected
    if rewrite.try_makedirs(folder):
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, version, kept)
