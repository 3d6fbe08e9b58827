"""The contract, as any plugin is held to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from floe_monitor.testing import ComputePluginConformance, Given, KeptConnectionConformance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conformance.snowflake_standin import StandIn
    from floe_monitor.compute import ComputeConfig, ComputePlugin
    from floe_monitor.testing import FaultProxy

    Keys = Callable[..., dict[str, Any]]


class Target:
    plugin_name = "snowflake"
    host_key: ClassVar[str | None] = "host"
    overrun_seconds = 0.1
    fault_deadline_seconds = 0.6

    @pytest.fixture
    def healthy_config(self, keys: Keys) -> Given:
        return keys()


class TestSnowflake(Target, ComputePluginConformance):
    driver_modules = ("snowflake.connector", "cryptography")

    @pytest.fixture
    def broken_configs(self, keys: Keys) -> Mapping[str, Given]:
        return {
            "wrong password": keys(credentials={"password": "wrong password"}),
            "unknown role": keys(role="missing"),
            "unknown warehouse": keys(warehouse="missing"),
            "unknown database": keys(database="missing"),
            "closed port": keys(port=1),
            "unknown host": keys(host="nowhere.invalid"),
            "no TLS there": keys(protocol="https"),
        }


class TestKept(Target, KeptConnectionConformance):
    """The session, which the driver keeps the connection of."""

    @pytest.fixture(autouse=True)
    def _standin_is_known(self, standin: StandIn) -> None:
        standin.account.slow = 0.005
        self._standin = standin

    def test_parallel_probes_share_nothing(self, plugin: ComputePlugin[Any], config: ComputeConfig) -> None:
        """Nor a session. After a fault it may seem so: a logout overtakes the statement that was given up."""
        super().test_parallel_probes_share_nothing(plugin, config)
        assert self._standin.shared == 0

    def kept(self, proxy: FaultProxy) -> int:
        return len(self._standin.sessions)  # each with a pool of connections
