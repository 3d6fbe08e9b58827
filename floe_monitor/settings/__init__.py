"""The configuration: its models, and reading it with every problem located."""

from floe_monitor.settings.loading import LoadedSettings, load
from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import ConfigurationError, Place, Problem

__all__ = ["ConfigurationError", "LoadedSettings", "Place", "Problem", "Settings", "load"]
