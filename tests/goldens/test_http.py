"""Every answer of daemons on `inputs/watched.yaml` and `inputs/acted-on.yaml`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.goldens.daemon import running
from tests.goldens.normaliser import Normaliser
from tests.goldens.transcripts import HERE, Place, fill, judge, replay

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]  # whole daemons, on a machine that may be busy

TARGETS = 6
"""Of `inputs/probed.yaml`."""


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A daemon that is only read."""
    yield from _daemon(tmp_path_factory.mktemp("watched"), "watched.yaml")


@pytest.fixture(scope="module")
def acted_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A daemon for the one transcript that changes it."""
    yield from _daemon(tmp_path_factory.mktemp("acted-on"), "acted-on.yaml")


def _daemon(path: Path, config: str) -> Iterator[Place]:
    fill(path)
    with running(path, config, FLOE_MONITOR_LOG__FORMAT="json") as daemon:
        daemon.settle(TARGETS)
        yield Place(path, Normaliser(place=str(path), port=str(urlsplit(daemon.url).port)), daemon.url)


@pytest.mark.parametrize("script", sorted((HERE / "http").glob("*.txt")), ids=lambda path: path.stem)
def test_reading(script: Path, watched: Place) -> None:
    judge(script, replay(script, watched))


@pytest.mark.parametrize("script", sorted((HERE / "actions").glob("*.txt")), ids=lambda path: path.stem)
def test_acting(script: Path, acted_on: Place) -> None:
    judge(script, replay(script, acted_on))
