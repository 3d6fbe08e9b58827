"""The configuration: its models, and reading it with every problem located."""

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.loader import LoadedSettings, load
from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import ConfigurationError

__all__ = ["ConfigurationError", "LoadedSettings", "Place", "Problem", "Settings", "load"]
