"""The conformance kit: what the daemon relies on, as pytest tests any plugin's author can run.

    class TestConformance(ComputePluginConformance):
        plugin_name = "sqlite"
        driver_modules = ("sqlite3",)
        healthy = {"connection": {"path": ":memory:"}}

An engine that is reached over a network is tried under every fault of it: `host_key` and `port_key` name the
keys of `connection` that lead there (`host_key = None` where there is none), or `server_of` and `pointed_at`
are overridden. Each probe of these runs as in the daemon, in the isolation that the plugin asks for.

Where a target needs a server, override the fixtures instead: `healthy_config`, `broken_configs` (by names of
your choice) and, for a plugin that is not installed, `plugin`. A configuration is a target's keys,
credentials as plain texts, or a `ComputeConfig`.

The four parts of it can be subclassed alone. `KeptConnectionConformance` is for plugins that keep
connections between probes.

Only this package needs pytest; the extra `conformance` of floe-monitor brings it.
"""

from floe_monitor.testing.description import DescriptionConformance
from floe_monitor.testing.fault_proxy import Fault, FaultProxy
from floe_monitor.testing.kept_connections import KeptConnectionConformance
from floe_monitor.testing.kit import Given
from floe_monitor.testing.network_faults import NetworkConformance
from floe_monitor.testing.shape import ShapeConformance
from floe_monitor.testing.validation import ValidationConformance

__all__ = [
    "ComputePluginConformance",
    "DescriptionConformance",
    "Fault",
    "FaultProxy",
    "Given",
    "KeptConnectionConformance",
    "NetworkConformance",
    "ShapeConformance",
    "ValidationConformance",
]


class ComputePluginConformance(
    ShapeConformance, ValidationConformance, DescriptionConformance, NetworkConformance
):
    """Subclass it under a name that starts with `Test`. It conforms when all pass and none is skipped."""
