"""The contract before a real Trino, which the stand-in of the other kits stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing import ComputePluginConformance, Given

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from conformance.trino_server import TrinoServer

    Keys = Callable[..., dict[str, Any]]

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.gate, pytest.mark.timeout(600)]


class TestConformance(ComputePluginConformance):
    plugin_name = "trino"
    driver_modules: ClassVar[Sequence[str]] = ("trino", "requests", "certifi")
    host_key = "host"
    fault_deadline_seconds = 2.0
    deadline_seconds = 30.0

    @pytest.fixture
    def healthy_config(self, keys: Keys, trino: TrinoServer) -> Given:
        return keys(port=trino.port)

    @pytest.fixture
    def broken_configs(self, keys: Keys, trino: TrinoServer) -> Mapping[str, Given]:
        return {
            "may not query": keys(port=trino.port, user="no_query"),
            "no such catalog": keys(port=trino.port, database="nowhere"),
            "reads only": keys(port=trino.port, user="reader"),
        }
