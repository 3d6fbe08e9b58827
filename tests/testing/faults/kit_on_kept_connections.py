"""What the kit demands of kept connections, on plugins that keep them well and badly."""

from __future__ import annotations

from typing import Any

import faulty_plugins  # type: ignore[import-not-found] # found on the path that the test sets
import kept_plugins  # type: ignore[import-not-found] # as above
import pytest

from floe_monitor.testing import KeptConnectionConformance


class Kept(KeptConnectionConformance):
    """Without the faults of the network, which have a file of their own."""

    host_key = "host"
    test_fault_of_the_network = None
    test_name_of_a_kept_connection = None

    @pytest.fixture(scope="class")
    def port(self) -> Any:
        with kept_plugins.engine() as port:
            yield port

    @pytest.fixture
    def healthy_config(self, port: int) -> dict[str, Any]:
        return {
            "connection": {"host": "127.0.0.1", "port": port},
            "credentials": {"password": faulty_plugins.SECRET},
        }


for _name, _class in kept_plugins.KEPT.items():
    _own = {"plugin_name": _name, "__module__": __name__}
    globals()[f"Test{_class.__name__}"] = type(f"Test{_class.__name__}", (Kept,), _own)
