"""What a compute plugin is: the code that knows one engine."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal

from pydantic import ValidationError
from typing_extensions import TypeVar

from floe_monitor.compute.errors import ComputeConfigurationError
from floe_monitor.compute.models import WORKLOAD_PRESETS, CatalogConfig, ComputeConfig, ResourceSpec
from floe_monitor.compute.validation_messages import describe_without_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from floe_monitor.compute.models import ConnectionResult

FLOE_API_VERSION = "1.0"
"""The contract's version. A plugin runs here when its major number is this one and its minor not above."""

ConfigT = TypeVar("ConfigT", bound=ComputeConfig, default=ComputeConfig)
"""A plugin's own configuration model."""

_TAKING_CONFIGURATIONS = (
    "validate_connection",
    "generate_dbt_profile",
    "prepare",
    "get_default_isolation",
    "get_catalog_configs",
)


def get_resource_requirements(workload_size: str) -> ResourceSpec:
    """The preset of that size; `ValueError` names the sizes there are."""
    try:
        return WORKLOAD_PRESETS[workload_size]
    except KeyError:
        known = ", ".join(WORKLOAD_PRESETS)
        raise ValueError(f"Unknown workload size: {workload_size}. Use: {known}") from None


class ComputePlugin(ABC, Generic[ConfigT]):
    """One compute engine: how to test a connection to it and what dbt needs to use it.

    Instances are created once, without arguments, and called from several threads at once: keep no state
    that is not safe for that. Import the driver inside the methods that need it.

    What is the same for every target is declared, as attributes of the class. The methods that take a
    configuration get an instance of `config_model`, whoever calls them: another `ComputeConfig` is converted
    first, and `ComputeConfigurationError` names the keys that do not fit.
    """

    config_model: type[ConfigT] = ComputeConfig  # type: ignore[assignment]  # the default of `ConfigT`
    """The model of a target: `connection`'s keys are its fields. Values are resolved for a validation; for a
    profile they may be dbt's expressions, whatever the type of the field says."""

    credential_keys: Sequence[str] = ()
    """The keys of `credentials` that the plugin uses; `*` stands for any name, as in `*.client_secret`."""

    adapter_type: str = ""
    """dbt's name for the adapter, the `type` of the profile; the plugin's name unless it is another."""

    default_isolation: Literal["thread", "process"] = "thread"
    """Where validations run unless the configuration says otherwise. Choose `process` only for a driver that
    can hang where none of its own timeouts reaches, since a process can be killed and a thread cannot, or
    that holds Python's interpreter lock for long, since the whole daemon waits for it meanwhile."""

    resource_keys: Mapping[str, Sequence[str]] = MappingProxyType(
        {"host": ("host", "port"), "warehouse": ("warehouse",)}
    )
    """Which keys of the configuration say what a target shares with others: under `host` where it connects
    to, under `warehouse` what computes for it. Targets with equal values of all these keys that fail alike
    are one incident; without a value of the first key a target shares nothing. Credentials and catalogs are
    known to the monitor."""

    process_environment: Mapping[str, str] = MappingProxyType({})
    """Environment variables that are the only way to set an option of the driver. The host sets those that
    are unset, in each process that loads the plugin, before it calls a method that takes a configuration. A
    plugin itself changes no environment."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in _TAKING_CONFIGURATIONS:
            method = cls.__dict__.get(name)
            # A coroutine function stays what it is: the registry refuses it by name.
            if inspect.isfunction(method) and not inspect.iscoroutinefunction(method):
                setattr(cls, name, _with_own_model(method))

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

    @property
    def db_system_name(self) -> str:
        """OpenTelemetry's `db.system.name` for the engine; the plugin's name unless it is another."""
        return self.name

    @abstractmethod
    def validate_connection(self, config: ConfigT) -> ConnectionResult:
        """Test the target now, within `compute.deadline.remaining()` seconds.

        Runs in a worker thread or process. What it raises becomes an UNHEALTHY result of error type
        `plugin` (or the `ComputeError`'s own), so a plugin reports a failing engine by its result.
        """

    def prepare(self, config: ConfigT) -> None:
        """Do what a process does once for a target: import the driver, put its files in place.

        Called in the worker before a target's first validation in a process, outside of its deadline, and
        given half a minute. It must not touch the network. What it raises is dropped: the validation that
        follows runs into the same and reports it.
        """

    def get_default_isolation(self, config: ConfigT) -> Literal["thread", "process"]:  # noqa: ARG002
        """As `default_isolation`, for a plugin where it depends on the target. `config` has dbt's expressions
        where values are found later."""
        return self.default_isolation

    @abstractmethod
    def generate_dbt_profile(self, config: ConfigT) -> dict[str, Any]:
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

    def get_catalog_configs(self, config: ConfigT) -> list[CatalogConfig]:  # noqa: ARG002
        """The catalogs that this target's own configuration attaches."""
        return []

    def get_config_schema(self) -> type[BaseModel] | None:
        """`config_model`, or None where it is the contract's own. A model that does not extend
        `ComputeConfig` is taken for one of `connection` alone."""
        return None if self.config_model is ComputeConfig else self.config_model

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

    def configure(self, config: BaseModel | None) -> None:
        """Upstream's registry calls this; configuration reaches a plugin's methods by argument here."""

    def startup(self) -> None: ...

    def shutdown(self) -> None:
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


def _with_own_model(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def taking_any(self: ComputePlugin[Any], config: ComputeConfig) -> Any:
        fits = self.config_model is ComputeConfig or isinstance(config, self.config_model)
        return method(self, config if fits else _converted(self, config))

    return taking_any


def _converted(plugin: ComputePlugin[Any], config: ComputeConfig) -> ComputeConfig:
    try:
        given = {name: getattr(config, name) for name in config.model_fields_set}
        converted: ComputeConfig = plugin.config_model.model_validate(given)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, detail['loc'])) or 'target'}: {describe_without_values(detail)}"
            for detail in error.errors(include_url=False)
        ]
        raise ComputeConfigurationError("; ".join(problems)) from None
    return converted
