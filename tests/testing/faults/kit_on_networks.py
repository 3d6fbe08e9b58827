"""The kit's faults of the network, on plugins that are bounded and not. Run by test_kit_on_networks.py."""

from __future__ import annotations

from typing import Any

import faulty_plugins  # type: ignore[import-not-found] # found on the path that the test sets
import networked_plugins  # type: ignore[import-not-found] # as above
import pytest

from floe_monitor.testing import NetworkConformance


class Networked(NetworkConformance):
    """Only what is tried under the faults of a network."""

    host_key = "host"
    fault_deadline_seconds = 0.3

    @pytest.fixture(scope="class")
    def port(self) -> Any:
        with networked_plugins.engine() as port:
            yield port

    @pytest.fixture
    def healthy_config(self, port: int) -> dict[str, Any]:
        return {
            "connection": {"host": "127.0.0.1", "port": port},
            "credentials": {"password": faulty_plugins.SECRET},
        }


for _name, _class in networked_plugins.NETWORKED.items():
    _own = {"plugin_name": _name, "__module__": __name__}
    globals()[f"Test{_class.__name__}"] = type(f"Test{_class.__name__}", (Networked,), _own)
