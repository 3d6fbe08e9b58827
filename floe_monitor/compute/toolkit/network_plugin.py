"""The base of plugins whose engine is reached over a network: what all their validations share."""

from __future__ import annotations

from typing import Any, Generic

from floe_monitor.compute.plugin import ComputePlugin, ConfigT
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import ConnectionCache


class NetworkPlugin(ComputePlugin[ConfigT], Generic[ConfigT]):
    """Bounded name look-ups, and connections kept between validations, which end with the plugin."""

    is_self_hosted = False

    def __init__(self) -> None:
        self.blocking_calls = BlockingCalls()
        self.connections: ConnectionCache[Any] = ConnectionCache(self.name)

    def shutdown(self) -> None:
        self.connections.close()
