"""The plugin contract: all that a compute plugin needs to import.

Nothing here imports the daemon, so a plugin tested against this package alone runs unchanged inside it.
"""

from floe_monitor.compute.checks import Check, Failure, Validation
from floe_monitor.compute.deadline import Deadline
from floe_monitor.compute.errors import (
    ComputeConfigurationError,
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    MonitorResourceError,
    resource_error_in,
    resource_error_in_text,
)
from floe_monitor.compute.evidence import note_engine_state, note_expiry, note_server
from floe_monitor.compute.models import (
    WORKLOAD_PRESETS,
    CatalogConfig,
    CheckResult,
    ComputeConfig,
    ConnectionResult,
    ConnectionStatus,
    DuckDBComputeConfig,
    EngineState,
    ErrorType,
    Expiry,
    ExpiryKind,
    ObservedState,
    ResourceSpec,
)
from floe_monitor.compute.plugin import (
    FLOE_API_VERSION,
    ComputePlugin,
    ConfigT,
    get_resource_requirements,
)

__all__ = [
    "FLOE_API_VERSION",
    "WORKLOAD_PRESETS",
    "CatalogConfig",
    "Check",
    "CheckResult",
    "ComputeConfig",
    "ComputeConfigurationError",
    "ComputeConnectionError",
    "ComputeError",
    "ComputePlugin",
    "ComputeTimeoutError",
    "ConfigT",
    "ConnectionResult",
    "ConnectionStatus",
    "Deadline",
    "DuckDBComputeConfig",
    "EngineState",
    "ErrorType",
    "Expiry",
    "ExpiryKind",
    "Failure",
    "MonitorResourceError",
    "ObservedState",
    "ResourceSpec",
    "Validation",
    "get_resource_requirements",
    "note_engine_state",
    "note_expiry",
    "note_server",
    "resource_error_in",
    "resource_error_in_text",
]
