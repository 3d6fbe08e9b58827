"""Targets: what the configuration names, joined with the plugins that are installed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.env_references import ExpressionError
from floe_monitor.credentials.resolver import CredentialError, Resolved, Resolver
from floe_monitor.domain.maintenance import Window, WindowChoice, windows_for
from floe_monitor.domain.probe_policy import ProbePolicy, policy_of
from floe_monitor.domain.resources import Resource, shared_resources
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.config_validation import ConfigProblems, build_config
from floe_monitor.registry.problems import Place, Problem, dotted
from floe_monitor.settings.models import SloSettings
from floe_monitor.settings.problems import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.credentials.resolver import ProfileName
    from floe_monitor.registry.discovery import PluginEntry, PluginRegistry
    from floe_monitor.registry.problems import KeyPath
    from floe_monitor.settings.models import Settings, TargetSettings

_FOR_PLUGINS = ("plugin", "threads", "timeout_seconds", "connection")
_BESIDE_PROBING = {"labels", "slo", "maintenance", "catalog", "output", "output_keys", "output_without"}


@dataclass(slots=True)
class _Memory:
    """What a target has worked out: `fixed` once nothing of its configuration is found late."""

    resolver: Resolver | None = None
    fixed: Resolved | None = None
    prepared: bool = False
    """Whether the plugin has done in this process what it does once for the target."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One configured compute.

    `entry.plugin` is None where the plugin is missing or broken; `entry.problem` then says why and every
    probe reports it. `fingerprint` is equal exactly when nothing that matters to probing has changed: labels
    do not.
    """

    name: str
    entry: PluginEntry
    settings: TargetSettings
    policy: ProbePolicy
    fingerprint: str
    profile_config: ComputeConfig | None
    """For `generate_dbt_profile`: nothing resolved, credentials as dbt expressions. None without a plugin."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    db_system: str = ""
    """OpenTelemetry's `db.system.name`; the plugin's name where there is no plugin to ask."""
    adapter_type: str = ""
    """dbt's, as the plugin declares it; empty where there is no plugin to ask."""
    objective: float = SloSettings().objective
    """The percentage of the time in which dbt is to be able to work with it."""
    windows: tuple[Window, ...] = ()
    """When it is in maintenance: the configuration's windows that apply to it, then its own."""
    resources: tuple[Resource, ...] = ()
    """What it shares with other targets, so that they may fail by one cause."""
    withheld: frozenset[str] = frozenset()
    """Variables with secrets of the configuration's targets: no child process has them from its start."""
    _memory: _Memory = field(default_factory=_Memory)

    @property
    def plugin_name(self) -> str:
        return self.settings.plugin

    @property
    def output_name(self) -> str:
        """What dbt calls it."""
        return self.settings.output or self.name

    @property
    def profile_names(self) -> tuple[ProfileName, ...]:
        """Its references by the names that profiles.yml has for them."""
        resolver = self._memory.resolver
        return () if resolver is None else resolver.profile_names

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables it names, secret or not."""
        resolver = self._memory.resolver
        return () if resolver is None else resolver.variables

    @property
    def secret_variables(self) -> frozenset[str]:
        """The environment variables it names whose values are secret."""
        return _secret_variables(self._memory)

    def secret_environ(self) -> dict[str, str]:
        """Those that are set, with their values: what a child process has while it probes this target."""
        return {name: self.environ[name] for name in self.secret_variables if name in self.environ}

    @property
    def labels(self) -> Mapping[str, str]:
        return self.settings.labels

    @property
    def is_prepared(self) -> bool:
        return self._memory.prepared

    def prepare(self, resolved: Resolved) -> None:
        """Have the plugin do in this process what it does once. Blocks, so it belongs in a worker."""
        if self.entry.plugin is not None:
            foreign_plugin.prepare(self.entry.plugin, resolved.config)
        self._memory.prepared = True

    def resolve(self) -> Resolved:
        """The configuration to probe with, read afresh: environment and files as they are now.

        The same object as before where they have not changed. Raises `CredentialError` naming the missing
        variable or unreadable file, never a value. Blocks on files, so it belongs in a worker.
        """
        memory = self._memory
        if memory.fixed is not None:
            return memory.fixed
        plugin = self.entry.plugin
        if plugin is None:
            raise CredentialError(self.entry.problem or "the plugin cannot be used")
        resolver = memory.resolver or _resolver(self.name, self.settings, self.environ)
        memory.resolver = resolver
        resolved = resolver.resolve(plugin)
        if not resolver.is_late:
            memory.fixed = resolved
        return resolved


def build_targets(
    settings: Settings,
    registry: PluginRegistry,
    locate: Callable[[KeyPath], Place] = lambda _: Place("configuration"),
    environ: Mapping[str, str] | None = None,
    kept: Callable[[str], bool] | None = None,
) -> dict[str, Target]:
    """Every target, in the configuration's order. Raises `ConfigurationError` with every problem located.

    A missing or broken plugin is none: its target exists and reports it. Those that are not `kept`, by name,
    are checked and let go: a hundred thousand take 600 MB. The others are of copies of their settings, since
    the originals lie among those of all: one in fifty of them would keep every page from the system.
    """
    builder = _Builder(settings, registry, locate, os.environ if environ is None else environ)
    targets: dict[str, Target] = {}
    withheld = set(_named_beside_targets(settings))
    for name, each in settings.targets.items():
        stays = kept is None or kept(name)
        target = builder.build(name, each.model_copy(deep=True) if stays and kept is not None else each)
        withheld |= target.secret_variables
        if stays:
            targets[name] = target
    if builder.problems:
        raise ConfigurationError(builder.problems)
    everywhere = frozenset(withheld)
    return {name: replace(target, withheld=everywhere) for name, target in targets.items()}


def _secret_variables(memory: _Memory) -> frozenset[str]:
    return frozenset() if memory.resolver is None else memory.resolver.secret_variables


def _named_beside_targets(settings: Settings) -> frozenset[str]:
    """Variables of credentials that no probe needs: the catalogs' and the exporter's."""
    catalogs = [target.catalog for target in settings.targets.values() if target.catalog is not None]
    groups = (settings.otlp.headers, *(catalog.credentials for catalog in catalogs))
    return frozenset(each.env for group in groups for each in group.values() if each.env is not None)


class _Builder:
    """Builds targets one after the other, collecting what is wrong with them."""

    def __init__(
        self,
        common: Settings,
        registry: PluginRegistry,
        locate: Callable[[KeyPath], Place],
        environ: Mapping[str, str],
    ) -> None:
        self.problems: list[Problem] = []
        self._common = common
        self._registry = registry
        self._locate = locate
        self._environ = environ
        self._names: dict[str, tuple[str, ProfileName]] = {}
        self._windows = [WindowChoice.of(each) for each in common.maintenance]

    def build(self, name: str, settings: TargetSettings) -> Target:
        entry = self._registry.get(settings.plugin, settings.distribution)
        memory = _Memory()
        config: ComputeConfig | None = None
        try:
            resolver = memory.resolver = _resolver(name, settings, self._environ)
        except ExpressionError as error:
            self._add(name, ("connection",), str(error))
        else:
            for reference in resolver.profile_names:
                self._claim(name, reference)
            if entry.plugin is not None:
                config = self._checked(name, entry.plugin, resolver)
            if config is not None and not resolver.is_late:
                memory.fixed = Resolved(config, Redactor(()))
        policy = policy_of(settings, self._common.probe, entry, config)
        objective = settings.slo.objective
        fingerprint = _fingerprint(settings, entry, policy)
        system = foreign_plugin.db_system_name(entry.plugin) if entry.plugin is not None else settings.plugin
        adapter = foreign_plugin.adapter_type(entry.plugin) if entry.plugin is not None else ""
        return Target(
            name,
            entry,
            settings,
            policy,
            fingerprint,
            config,
            self._environ,
            system,
            adapter,
            self._common.slo.objective if objective is None else objective,
            self._windows_of(name, settings),
            shared_resources(settings, entry.plugin, config, _secret_variables(memory)),
            _memory=memory,
        )

    def _windows_of(self, name: str, settings: TargetSettings) -> tuple[Window, ...]:
        common = windows_for(self._windows, name, settings.labels)
        return (*common, *map(Window.of, settings.maintenance))

    def _checked(self, name: str, plugin: ComputePlugin[Any], resolver: Resolver) -> ComputeConfig | None:
        try:
            config: ComputeConfig = build_config(plugin, resolver.profile_fields())
        except ConfigProblems as error:
            for problem in error.problems:
                self._add(name, problem.path, problem.message, problem.hint)
            return None
        return config

    def _claim(self, target: str, reference: ProfileName) -> None:
        """A variable stands for one source alone: else dbt could not distinguish two credentials."""
        first_target, first = self._names.setdefault(reference.name, (target, reference))
        if first.file == reference.file or not (
            first.derived or reference.derived or _two_files(first, reference)
        ):
            return
        message = (
            f"profiles.yml would call this and {first_target}'s {dotted(first.path)} both {reference.name}"
        )
        self._add(target, reference.path, message, "add `env: NAME` to choose the name")

    def _add(self, target: str, path: KeyPath, message: str, hint: str = "") -> None:
        whole = ("targets", target, *path)
        self.problems.append(Problem(self._locate(whole), message, whole, hint))


def _two_files(first: ProfileName, second: ProfileName) -> bool:
    return first.file is not None and second.file is not None and first.file != second.file


def _resolver(name: str, settings: TargetSettings, environ: Mapping[str, str]) -> Resolver:
    fields: dict[str, Any] = {key: getattr(settings, key) for key in _FOR_PLUGINS}
    fields.update(settings.model_extra or {})
    credentials = {key: each.reference for key, each in settings.credentials.items()}
    return Resolver(name, fields, credentials, environ)


def _fingerprint(target: TargetSettings, entry: PluginEntry, policy: ProbePolicy) -> str:
    content = [
        target.model_dump(mode="json", exclude=_BESIDE_PROBING),
        [entry.distribution, entry.version, entry.problem],
        policy.as_settings(),
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
