"""The conformance kit: what the daemon relies on, as pytest tests any plugin's author can run.

    class TestConformance(ComputePluginConformance):
        plugin_name = "sqlite"
        driver_modules = ("sqlite3",)
        healthy = {"connection": {"path": ":memory:"}}

Where a target needs a server, override the fixtures instead: `healthy_config`, `broken_configs` (by names of
your choice), `hanging_config` (something that accepts and never answers) and, for a plugin that is not
installed, `plugin`. A configuration is a target's keys, credentials as plain texts, or a `ComputeConfig`.

Only this package needs pytest; `pip install floe-monitor[conformance]` brings it.
"""

from floe_monitor.testing.description import DescribingConformance
from floe_monitor.testing.kit import Given
from floe_monitor.testing.shape import ShapeConformance
from floe_monitor.testing.validation import ValidatingConformance

__all__ = ["ComputePluginConformance", "Given"]


class ComputePluginConformance(ShapeConformance, ValidatingConformance, DescribingConformance):
    """Subclass it under a name that starts with `Test`. It conforms when all pass and none is skipped."""
