"""Targets: what the configuration names, joined with the plugins that are installed."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from floe_monitor.compute import adapt
from floe_monitor.compute.configuring import ConfigProblems, build_config
from floe_monitor.credentials import (
    CredentialError,
    Redactor,
    Resolved,
    Resolver,
    env_expression,
    has_expression,
    is_reference,
    read_reference,
    variable_in_profile,
)
from floe_monitor.health import Thresholds
from floe_monitor.secrecy import is_secret_key, secrets_in
from floe_monitor.settings.models import TargetSettings
from floe_monitor.settings.problems import ConfigurationError, Place, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from floe_monitor.compute.loader import PluginEntry, PluginRegistry
    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.settings.models import ProbeSettings, Settings
    from floe_monitor.settings.problems import KeyPath

_OWN_KEYS = frozenset(TargetSettings.model_fields)
_FOR_PLUGINS = ("plugin", "threads", "timeout_seconds")


@dataclass(frozen=True, slots=True)
class ProbePolicy:
    """The probe settings in force for one target: its own over the common ones. Seconds."""

    interval: float
    timeout: float
    thresholds: Thresholds
    isolation: Literal["thread", "process"]


@dataclass(slots=True)
class _Memory:
    """The last configuration resolved, for as long as what it was made of stays the same."""

    fields: dict[str, Any] | None = None
    resolved: Resolved | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One configured compute.

    `entry.plugin` is None where the plugin is missing or broken; `entry.problem` then says why and every
    probe reports it. `fingerprint` is equal exactly when nothing that matters to probing has changed.
    """

    name: str
    entry: PluginEntry
    settings: TargetSettings
    policy: ProbePolicy
    fingerprint: str
    profile_config: ComputeConfig | None
    """For `generate_dbt_profile`: nothing resolved, credentials as dbt expressions. None without a plugin."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    _memory: _Memory = field(default_factory=_Memory)

    @property
    def plugin_name(self) -> str:
        return self.settings.plugin

    @property
    def labels(self) -> Mapping[str, str]:
        return self.settings.labels

    @property
    def db_system(self) -> str:
        """OpenTelemetry's `db.system.name`; the plugin's name where there is no plugin to ask."""
        return adapt.db_system_name(self.entry.plugin) if self.entry.plugin is not None else self.plugin_name

    def resolve(self) -> Resolved:
        """The configuration to probe with, read afresh: environment and files as they are now.

        Raises `CredentialError` naming the missing variable or unreadable file, never a value. Blocks on
        files, so it belongs in a worker.
        """
        memory, plugin = self._memory, self.entry.plugin
        if plugin is None:
            raise CredentialError(self.entry.problem or "the plugin cannot be used")
        fields = _plain_fields(self.settings)
        resolver = Resolver(self.environ)
        if _is_dynamic(self.settings):
            for key in fields.keys() - {*_FOR_PLUGINS}:
                fields[key] = resolver.resolve(fields[key], secret=is_secret_key(key))
            fields["credentials"] = {
                key: read_reference(reference.env, reference.file, self.environ)
                for key, reference in self.settings.credentials.items()
            }
            resolver.secrets.update(fields["credentials"].values())
        if memory.resolved is not None and memory.fields == fields:
            return memory.resolved
        try:
            config = build_config(plugin, fields)
        except ConfigProblems as error:
            raise CredentialError("; ".join(map(str, error.problems))) from None
        resolved = Resolved(config, Redactor(resolver.secrets))
        memory.fields, memory.resolved = fields, resolved
        return resolved


def build_targets(
    settings: Settings,
    registry: PluginRegistry,
    locate: Callable[[KeyPath], Place] = lambda _: Place("configuration"),
    environ: Mapping[str, str] | None = None,
) -> dict[str, Target]:
    """Every target, in the configuration's order. Raises `ConfigurationError` with every problem located.

    A missing or broken plugin is none: its target exists and reports it.
    """
    problems: list[Problem] = []
    targets = {
        name: _build(name, target, settings.probe, registry, locate, environ, problems)
        for name, target in settings.targets.items()
    }
    problems += _colliding_variables(settings, locate)
    if problems:
        raise ConfigurationError(problems)
    return targets


def _build(
    name: str,
    target: TargetSettings,
    common: ProbeSettings,
    registry: PluginRegistry,
    locate: Callable[[KeyPath], Place],
    environ: Mapping[str, str] | None,
    problems: list[Problem],
) -> Target:
    for path, message, hint in _literal_secrets(target):
        whole = ("targets", name, *path)
        problems.append(Problem(locate(whole), message, whole, hint))
    entry = registry.get(target.plugin, target.distribution)
    config = None
    if entry.plugin is not None:
        try:
            config = build_config(entry.plugin, _profile_fields(name, target))
        except ConfigProblems as error:
            for problem in error.problems:
                whole = ("targets", name, *problem.path)
                problems.append(Problem(locate(whole), problem.message, whole, problem.hint))
    policy = _policy(target, common, entry)
    made = Target(name, entry, target, policy, _fingerprint(target, entry, policy), config)
    return (
        made
        if environ is None
        else Target(name, entry, target, policy, made.fingerprint, config, environ=environ)
    )


def _plain_fields(target: TargetSettings) -> dict[str, Any]:
    """What a plugin's model is built from, before anything is looked up."""
    fields: dict[str, Any] = {key: getattr(target, key) for key in _FOR_PLUGINS}
    fields.update(target.model_extra or {})
    fields["connection"] = target.connection
    return fields


def _profile_fields(name: str, target: TargetSettings) -> dict[str, Any]:
    fields = {key: _as_expressions(name, key, value) for key, value in _plain_fields(target).items()}
    fields["credentials"] = {
        key: env_expression(variable_in_profile(name, key, reference.env))
        for key, reference in target.credentials.items()
    }
    return fields


def _as_expressions(target: str, key: str, value: Any) -> Any:
    if is_reference(value):
        return env_expression(variable_in_profile(target, key, value.get("env")))
    if isinstance(value, dict):
        return {inner: _as_expressions(target, f"{key}_{inner}", item) for inner, item in value.items()}
    if isinstance(value, list):
        return [_as_expressions(target, f"{key}_{index}", item) for index, item in enumerate(value)]
    return value


def _is_dynamic(target: TargetSettings) -> bool:
    return bool(target.credentials) or _has_lookups([target.connection, target.model_extra or {}])


def _has_lookups(value: Any) -> bool:
    if isinstance(value, dict):
        return is_reference(value) or any(_has_lookups(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_lookups(item) for item in value)
    return has_expression(value)


def _policy(target: TargetSettings, common: ProbeSettings, entry: PluginEntry) -> ProbePolicy:
    own = target.probe

    def pick(key: str) -> Any:
        value = getattr(own, key)
        return getattr(common, key) if value is None else value

    isolation = pick("isolation")
    if isolation is None:
        isolation = adapt.default_isolation(entry.plugin) if entry.plugin is not None else "thread"
    return ProbePolicy(
        interval=pick("interval"),
        timeout=pick("timeout"),
        thresholds=Thresholds(pick("failure_threshold"), pick("success_threshold")),
        isolation=isolation,
    )


def _fingerprint(target: TargetSettings, entry: PluginEntry, policy: ProbePolicy) -> str:
    content = [
        target.model_dump(mode="json"),
        [entry.distribution, entry.version, entry.problem],
        [
            policy.interval,
            policy.timeout,
            policy.thresholds.failure,
            policy.thresholds.success,
            policy.isolation,
        ],
    ]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


_REFER = "write {env: NAME} or {file: PATH}, or dbt's {{ env_var('NAME') }}"


def _literal_secrets(target: TargetSettings) -> Iterator[tuple[KeyPath, str, str]]:
    yield from _literals_in(target.connection, ("connection",))
    for key, value in (target.model_extra or {}).items():
        yield from _literals_at(key, value, (key,))
    if target.catalog is not None:
        yield from _literals_in(target.catalog.options, ("catalog", "options"))


def _literals_in(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    if isinstance(value, dict):
        if not is_reference(value):
            for key, item in value.items():
                yield from _literals_at(key, item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _literals_in(item, (*path, index))
    elif isinstance(value, str) and secrets_in(value):
        yield path, "a literal secret inside this value is refused", _REFER


def _literals_at(key: str, value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str, str]]:
    # In an attach, `secret` is the name of one defined under `secrets`.
    names_one = key.lower() == "secret" and "attach" in path
    literal = isinstance(value, str | int) and not isinstance(value, bool)
    if literal and value != "" and is_secret_key(key) and not names_one and not has_expression(value):
        yield path, "a literal secret is refused", _REFER
    else:
        yield from _literals_in(value, path)


def _colliding_variables(settings: Settings, locate: Callable[[KeyPath], Place]) -> Iterator[Problem]:
    """Two files whose derived variables are one: dbt could not tell the credentials apart."""
    owners: dict[str, tuple[str, str, str]] = {}
    for name, target in settings.targets.items():
        for key, reference in target.credentials.items():
            if reference.env is not None or reference.file is None:
                continue
            variable = variable_in_profile(name, key, None)
            first = owners.setdefault(variable, (name, key, reference.file))
            if first[2] != reference.file:
                path: KeyPath = ("targets", name, "credentials", key)
                message = f"profiles.yml would call this and {first[0]}'s {first[1]} both {variable}"
                yield Problem(locate(path), message, path, "add `env: NAME` to choose the name")
