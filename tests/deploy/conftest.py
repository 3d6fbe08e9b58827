from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from deploy import images
from tests.deploy.charts import Rendered, need_helm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def rendered(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The chart's variants. Those who ask for it are of one group (SHARING)."""
    need_helm()
    return Rendered(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="session")
def image(starts_processes: None) -> images.Image:
    """That of `duckdb`. Those who ask for it are of one group (SHARING)."""
    if reason := images.lacking():
        pytest.skip(reason)
    return images.built("duckdb")


@pytest.fixture(scope="session")
def root(image: images.Image) -> Iterator[Path]:
    """Its files."""
    with images.mounted(image.name) as path:
        yield path
