from __future__ import annotations

import pytest

from tests.deploy.charts import Rendered, need_helm


@pytest.fixture(scope="session")
def rendered(starts_processes: None, tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """The chart's variants. Those who ask for it are of one group (SHARING)."""
    need_helm()
    return Rendered(tmp_path_factory.mktemp("charts"))
