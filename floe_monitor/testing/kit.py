"""What the parts of the kit share: the fixtures an author overrides, and a way to run one validation."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeAlias

import pytest

from floe_monitor.compute import checks, deadline
from floe_monitor.compute.models import ComputeConfig
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from floe_monitor.registry.discovery import PluginRegistry, discover
from floe_monitor.testing.punctuality import shared_control

if TYPE_CHECKING:
    from floe_monitor.compute.plugin import ComputePlugin

Given: TypeAlias = Mapping[str, Any] | ComputeConfig
"""A target as an author writes it down: its keys, credentials as plain texts; or a finished configuration."""


def fault(message: str) -> NoReturn:
    """Fail with the message alone: what matters is the plugin, not the line of the kit."""
    pytest.fail(message, pytrace=False)


class Kit:
    """The attributes and fixtures of an author's subclass."""

    plugin_name: ClassVar[str]
    distribution: ClassVar[str | None] = None
    """Whose plugin is meant, where two installed distributions claim the name."""
    healthy: ClassVar[Mapping[str, Any]]
    driver_modules: ClassVar[Sequence[str]]
    """Modules that importing the plugin must not import: its driver's. () where it has none."""
    deadline_seconds: ClassVar[float] = 5.0
    overrun_seconds: ClassVar[float] = 0.5
    """How long past a deadline a validation may return."""

    @pytest.fixture
    def plugin(self) -> ComputePlugin:
        """The plugin under test: by default the installed one called `plugin_name`."""
        return self.installed_plugin()

    def installed_plugin(self) -> ComputePlugin:
        """The one called `plugin_name`. Not to be overridden."""
        name = getattr(self, "plugin_name", None)
        if name is None:
            fault("give `plugin_name`, the name of the entry point, or override the fixture `plugin`")
        entry = _installed(tuple(sys.path)).get(name, self.distribution)
        if entry.plugin is None:
            fault(f"plugin {name!r}: {entry.problem}")
        return entry.plugin

    @pytest.fixture
    def healthy_config(self) -> Given:
        """A target that works."""
        given: Mapping[str, Any] | None = getattr(self, "healthy", None)
        if given is None:
            fault("give `healthy`, the keys of a target that works, or override the fixture `healthy_config`")
        return given

    @pytest.fixture
    def broken_configs(self) -> Mapping[str, Given]:
        """Targets that do not work, by a name for each: a wrong password, a closed port, a missing file …"""
        return {}

    @pytest.fixture
    def hanging_config(self) -> Given | None:
        """A target that accepts and never answers. Given where the kit knows the way to the server."""
        return None

    def _built(self, plugin: ComputePlugin[Any], given: Mapping[str, Given]) -> list[ComputeConfig]:
        return [build(plugin, each) for each in given.values()]

    @pytest.fixture
    def config(self, plugin: ComputePlugin[Any], healthy_config: Given) -> ComputeConfig:
        """`healthy_config` as the plugin's methods take it. Not to be overridden."""
        return build(plugin, healthy_config)


@cache
def _installed(_: tuple[str, ...]) -> PluginRegistry:
    """Reading every distribution's metadata for each test would be most of the kit's time."""
    return discover()


def build(plugin: ComputePlugin[Any], given: Given) -> ComputeConfig:
    if isinstance(given, ComputeConfig):
        return given
    try:
        config: ComputeConfig = build_config(plugin, {"plugin": plugin.name, **given})
    except ConfigProblems as error:
        fault(f"the plugin's own configuration model refuses the target: {error}")
    return config


def fields_of(config: ComputeConfig) -> dict[str, Any]:
    """The keys of a target that give `config` again, credentials as plain texts."""
    common = ComputeConfig.model_fields
    own = {
        field.alias or name: getattr(config, name)
        for name, field in type(config).model_fields.items()
        if name in config.model_fields_set and name not in common
    } | (config.model_extra or {})
    fields = {key: getattr(config, key) for key in common}
    fields |= {key: value for key, value in own.items() if key not in config.connection}
    return {**fields, "credentials": secrets_of(config)}


def secrets_of(config: ComputeConfig) -> dict[str, str]:
    return {key: secret.get_secret_value() for key, secret in config.credentials.items()}


def for_profile(plugin: ComputePlugin[Any], config: ComputeConfig) -> ComputeConfig:
    """The configuration `generate_dbt_profile` gets: credentials are the expressions to write down."""
    fields = fields_of(config)
    names = {key: f"CONFORMANCE_{key.upper().replace('.', '_')}" for key in fields["credentials"]}
    expressions = {key: f"{{{{ env_var('{name}') }}}}" for key, name in names.items()}
    try:
        given: ComputeConfig = build_config(plugin, {**fields, "credentials": expressions})
    except ConfigProblems as error:
        fault(f"the configuration with credentials as env_var expressions is refused: {error}")
    return given


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one call of `validate_connection` came to. `seconds` is measured from outside."""

    returned: Any
    raised: BaseException | None
    seconds: float

    @property
    def result(self) -> Any:
        if self.raised is not None:
            kind = type(self.raised).__name__
            fault(f"validate_connection raised {kind}: a failing engine is reported by the result")
        return self.returned


class RunningValidation:
    """One validation under way, as the daemon runs it: on a daemon thread, with a deadline."""

    def __init__(self, plugin: ComputePlugin[Any], config: ComputeConfig, seconds: float) -> None:
        self._plugin, self._config, self._seconds = plugin, config, seconds
        self._outcome: Outcome | None = None
        self._timing = shared_control().begin(time.monotonic() + seconds)
        self._thread = threading.Thread(target=self._run, name="conformance-validation", daemon=True)
        self._thread.start()

    def outcome(self, overrun: float) -> Outcome:
        self._thread.join(self._seconds + overrun)
        if self._outcome is None:
            # As much longer as this machine is late with anything else.
            self._thread.join(shared_control().allowed(self._timing, overrun) - overrun)
        else:
            shared_control().drop(self._timing)
        if self._outcome is None:
            fault(
                f"validate_connection has not returned {overrun:g} s after its deadline of "
                f"{self._seconds:g} s: pass deadline.remaining() on to the driver's timeouts"
            )
        return self._outcome

    def _run(self) -> None:
        started = time.perf_counter()
        returned, raised = None, None
        limit = deadline.Deadline.after(self._seconds)
        try:
            with deadline.running_until(limit), checks.recording_into(checks.CheckLog()):
                returned = self._plugin.validate_connection(self._config)
        except BaseException as error:  # noqa: BLE001 - the outcome reports it
            raised = error
        self._outcome = Outcome(returned, raised, time.perf_counter() - started)


def validate(plugin: ComputePlugin[Any], config: ComputeConfig, seconds: float, overrun: float) -> Outcome:
    return RunningValidation(plugin, config, seconds).outcome(overrun)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a structure of plain values, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from texts_in(key)
            yield from texts_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)
