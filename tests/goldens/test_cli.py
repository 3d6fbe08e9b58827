"""Every command: output, exit status and the bytes of the files it writes."""

from __future__ import annotations

import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.goldens.normaliser import Normaliser
from tests.goldens.transcripts import HERE, Place, fill, judge, replay
from tests.harness.locked import needs_locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.gate,
    pytest.mark.e2e,
    pytest.mark.timeout(240),  # many commands, on a machine that may be busy
]

MANY_COMMANDS = {
    "catalog-sql",
    "check",
    "config-environment",
    "config-faults",
    "config-import",
    "help",
    "images",
    "plugins",
    "usage",
}
WORDED_BY = {"check": "duckdb", "usage": "typer", "help": "typer"}
"""Distributions that have a part in what is shown."""


def _marks(script: Path) -> list[pytest.MarkDecorator]:
    marks = [pytest.mark.gate] if script.stem in MANY_COMMANDS else []
    return [*marks, needs_locked(WORDED_BY[script.stem])] if script.stem in WORDED_BY else marks


SCRIPTS = [
    pytest.param(path, marks=_marks(path), id=path.stem) for path in sorted((HERE / "cli").glob("*.txt"))
]


@pytest.fixture(scope="module")
def replays(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[str]]]:
    """The transcripts selected, replayed side by side: each has a directory of its own."""
    here = [item for item in request.session.items if item.path == request.path]
    wanted: list[Path] = [getattr(item, "callspec").params["script"] for item in here]  # noqa: B009
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1, "transcript") as pool:
        futures = {
            script: pool.submit(_replay, script, tmp_path_factory.mktemp(script.stem)) for script in wanted
        }
        yield futures
        for future in futures.values():  # of a run that ended early
            future.cancel()


def _replay(script: Path, path: Path) -> str:
    fill(path)
    return replay(script, Place(path, Normaliser(place=str(path))))


@pytest.mark.parametrize("script", SCRIPTS)
def test_commands(script: Path, replays: dict[Path, Future[str]]) -> None:
    judge(script, replays[script].result())
