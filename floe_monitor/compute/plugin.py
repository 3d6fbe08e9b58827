"""What a compute plugin is: one engine, known well."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Literal

from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.compute.models import WORKLOAD_PRESETS, CatalogConfig, ComputeConfig, ResourceSpec

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

    from floe_monitor.compute.models import ConnectionResult

FLOE_API_VERSION = "1.0"
"""The contract's version. A plugin runs here when its major number is this one and its minor not above."""


def get_resource_requirements(workload_size: str) -> ResourceSpec:
    """The preset of that size; `ValueError` names the sizes there are."""
    try:
        return WORKLOAD_PRESETS[workload_size]
    except KeyError:
        known = ", ".join(WORKLOAD_PRESETS)
        raise ValueError(f"Unknown workload size: {workload_size}. Use: {known}") from None


class ComputePlugin(ABC):
    """One compute engine: how to test a connection to it and what dbt needs to use it.

    Instances are created once, without arguments, and called from several threads at once: keep no state
    that is not safe for that. Import the driver inside the methods that need it.
    """

    default_isolation: Literal["thread", "process"] = "thread"
    """Where validations run unless the configuration says otherwise. Choose `process` only for a driver that
    can hang where none of its own timeouts reaches, since a process can be killed and a thread cannot, or
    that holds Python's interpreter lock for long, since the whole daemon waits for it meanwhile."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name by which configurations call the plugin; equal to its entry point's."""

    @property
    @abstractmethod
    def version(self) -> str: ...

    @property
    @abstractmethod
    def floe_api_version(self) -> str:
        """The contract version it was written for, as `major.minor`."""

    @property
    @abstractmethod
    def is_self_hosted(self) -> bool:
        """True where the engine runs inside the platform's own pods (DuckDB, Spark), False for a service."""

    @abstractmethod
    def validate_connection(self, config: ComputeConfig) -> ConnectionResult:
        """Test the target now, within `compute.deadline.remaining()` seconds.

        Runs in a worker thread or process. What it raises becomes an UNHEALTHY result of error type
        `plugin` (or the `ComputeError`'s own), so a plugin reports an ill engine by its result.
        """

    def prepare(self, config: ComputeConfig) -> None:  # noqa: B027 - nothing to do is the default
        """Do what a process does once for a target: import the driver, put its files in place.

        Called in the worker before a target's first validation in a process, outside of its deadline, and
        given half a minute. It must not touch the network. What it raises is dropped: the validation that
        follows meets the same and says so.
        """

    def get_default_isolation(self, config: ComputeConfig) -> Literal["thread", "process"]:  # noqa: ARG002
        """As `default_isolation`, for a plugin where it depends on the target. `config` has dbt's expressions
        where values are found later."""
        return self.default_isolation

    @abstractmethod
    def generate_dbt_profile(self, config: ComputeConfig) -> dict[str, Any]:
        """This target's output block of dbt's `profiles.yml`: plain YAML values, same input same output.

        Raises `ComputeConfigurationError` where no working profile exists.
        """

    @abstractmethod
    def get_required_dbt_packages(self) -> list[str]:
        """PEP 508 requirements of the dbt image that runs against this engine."""

    def get_resource_requirements(self, workload_size: str) -> ResourceSpec:
        """Resources of the dbt job pod; `ValueError` for an unknown size."""
        return get_resource_requirements(workload_size)

    def get_catalog_attachment_sql(self, catalog_config: CatalogConfig) -> list[str] | None:  # noqa: ARG002
        """Statements that attach the catalog, in order, ready to run; None where the engine needs none."""
        return None

    def get_catalog_configs(self, config: ComputeConfig) -> list[CatalogConfig]:  # noqa: ARG002
        """The catalogs that this target's own configuration attaches."""
        return []

    def get_config_schema(self) -> type[BaseModel] | None:
        """The model of a target: a subclass of `ComputeConfig`, or a model of `connection` alone."""
        return None

    @property
    def db_system_name(self) -> str:
        """OpenTelemetry's `db.system.name` for the engine."""
        return self.name

    # What the loader of the upstream ecosystem reads besides; safe defaults for a plugin without needs.
    @property
    def description(self) -> str:
        return ""

    @property
    def dependencies(self) -> list[str]:
        return []

    @property
    def tracer_name(self) -> str | None:
        return None

    def configure(self, config: BaseModel | None) -> None:  # noqa: B027 - nothing to do is the default
        """Upstream's registry calls this; configuration reaches a plugin's methods by argument here."""

    def startup(self) -> None: ...  # noqa: B027 - as above

    def shutdown(self) -> None:  # noqa: B027 - nothing to do is the default
        """Called when the monitor stops, which waits about a second for it: let go of what is kept."""

    def get_dbt_macro_paths(self) -> list[Path]:
        return []

    def augment_dbt_profile(self, profile: dict[str, Any], deployment: Any = None) -> dict[str, Any]:  # noqa: ARG002
        return profile

    def import_dbt_output(self, output: dict[str, Any]) -> dict[str, Any]:
        """Read an adapter's `profiles.yml` output back into the keys of a target (`connection`, `threads` …).

        Raises `ComputeConfigurationError` naming what it cannot carry over; nothing is dropped in silence.
        """
        raise ComputeConfigurationError(
            f"the {self.name} plugin cannot import profiles ({output.get('type')})"
        )
