"""Credentials: found at the last moment, afresh for each probe, and kept out of every text.

A `Resolver` is made once per target. Each `resolve` looks at the environment and the files as they are now,
and returns the former configuration again where none of them has changed.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.compute.redaction.detection import (
    SECRET_ENV_PREFIX,
    is_public_key,
    is_secret_key,
    is_secret_variable,
    secrets_in,
)
from floe_monitor.compute.redaction.redactor import Redactor
from floe_monitor.compute.toolkit.env_references import (
    Expression,
    UnresolvedError,
    expression_for,
    is_template,
    parse_expression,
)
from floe_monitor.credentials.references import Reference, as_reference
from floe_monitor.registry.config_validation import ConfigProblems, build_config, may_be_blank
from floe_monitor.registry.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_monitor.compute.models import ComputeConfig
    from floe_monitor.compute.plugin import ComputePlugin
    from floe_monitor.registry.problems import KeyPath


class CredentialError(Exception):
    """A credential cannot be had now. Names the variable or file, never a value."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A configuration ready to probe with, and what keeps its secrets out of texts."""

    config: ComputeConfig
    redactor: Redactor


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place in the configuration whose value is found late."""

    path: KeyPath
    source: Expression | Reference


@dataclass(frozen=True, slots=True)
class ProfileName:
    """How a reference is called in profiles.yml: the environment variable's name, chosen or derived."""

    path: KeyPath
    name: str
    file: str | None
    derived: bool


def profile_variable(target: str, path: KeyPath, reference: Reference) -> str:
    """`env` where it is given, else a name of dbt's secret prefix made of target and key."""
    if reference.env is not None:
        return reference.env
    below = path[1:] if path[0] in ("connection", "credentials") else path
    parts = (target, *(str(part) for part in below))
    return "_".join([SECRET_ENV_PREFIX, *(re.sub(r"[^A-Za-z0-9]+", "_", part).upper() for part in parts)])


class Resolver:
    """One target's keys, with everything that is found late singled out. Thread-safe.

    `fields` are the keys of the plugin's model as configured, `credentials` beside them. Raises
    `ExpressionError` for an expression that cannot work.
    """

    def __init__(
        self,
        target: str,
        fields: Mapping[str, Any],
        credentials: Mapping[str, Reference],
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._environ = environ
        self._fields = dict(fields)
        self._slots: list[_Slot] = []
        tree = {**fields, "credentials": dict(credentials)}
        self._tree = {key: self._planned(value, (key,)) for key, value in tree.items()}
        self._expressions = [slot for slot in self._slots if isinstance(slot.source, Expression)]
        self._references = [slot for slot in self._slots if isinstance(slot.source, Reference)]
        named = {name for slot in self._expressions for name, _ in slot.source.variables}  # type: ignore[union-attr]
        self.variables = tuple(sorted(named))
        """All that it names, secret or not."""
        self.profile_names = tuple(
            ProfileName(
                slot.path,
                profile_variable(target, slot.path, slot.source),
                slot.source.file,
                slot.source.env is None,
            )
            for slot in self._references
            if isinstance(slot.source, Reference)
        )
        self._names = {entry.path: entry.name for entry in self.profile_names}
        self.secret_variables = frozenset(
            name for slot in self._slots for name in _secret_variables(slot.path, slot.source)
        )
        """Variables it names whose values are secret."""
        self._last: tuple[tuple[Any, ...], Resolved] | None = None

    @property
    def is_late(self) -> bool:
        """Whether anything has to be looked up at all."""
        return bool(self._slots)

    def profile_fields(self) -> dict[str, Any]:
        """The keys for `generate_dbt_profile`: each reference as the dbt expression that stands for it."""
        return {key: self._written(value) for key, value in self._tree.items()}

    def resolve(self, plugin: ComputePlugin[Any]) -> Resolved:
        """Look everything up now. Raises `CredentialError` with all that is missing, `MonitorResourceError`
        where a file cannot be opened for want of descriptors."""
        values, found = self._look_up()
        key = (id(plugin), tuple(values.get(name) for name in self.variables), *found.values())
        last = self._last
        if last is not None and last[0] == key:
            return last[1]
        secrets: list[str] = []
        filled = {name: self._filled(value, values, found, secrets) for name, value in self._tree.items()}
        redactor = Redactor(secrets)
        try:
            resolved = Resolved(self._built(plugin, filled), redactor)
        except ConfigProblems as problems:
            raise CredentialError(redactor("; ".join(map(str, problems.problems)))) from None
        self._last = (key, resolved)
        return resolved

    def _built(self, plugin: ComputePlugin[Any], filled: dict[str, Any]) -> ComputeConfig:
        """A text of `connection` that comes to nothing and is refused is unset, as it is for dbt."""
        config: ComputeConfig
        try:
            config = build_config(plugin, filled)
        except ConfigProblems as refused:
            blank = {problem.path[1] for problem in refused.problems if self._is_blank(problem.path, filled)}
            if len(blank) < len(refused.problems) or not all(may_be_blank(plugin, str(key)) for key in blank):
                raise
            connection = {key: item for key, item in filled["connection"].items() if key not in blank}
            config = build_config(plugin, {**filled, "connection": connection})
        return config

    def _is_blank(self, path: KeyPath, filled: dict[str, Any]) -> bool:
        if len(path) != 2 or path[0] != "connection":
            return False
        late = isinstance(self._tree["connection"].get(path[1]), _Slot)
        return late and filled["connection"][path[1]] == ""

    def _planned(self, value: Any, path: KeyPath) -> Any:
        source: Expression | Reference | None = None
        if isinstance(value, str):
            source = parse_expression(value) if is_template(value) else None
        elif isinstance(value, Reference):
            source = value
        elif isinstance(value, dict):
            source = as_reference(value)
            if source is None:
                return {key: self._planned(item, (*path, key)) for key, item in value.items()}
        elif isinstance(value, list | tuple):
            return [self._planned(item, (*path, index)) for index, item in enumerate(value)]
        if source is None:
            return value
        slot = _Slot(path, source)
        self._slots.append(slot)
        return slot

    def _look_up(self) -> tuple[dict[str, str], dict[KeyPath, str]]:
        values = {name: self._environ[name] for name in self.variables if name in self._environ}
        found: dict[KeyPath, str] = {}
        missing: list[str] = []
        for slot in self._references:
            try:
                found[slot.path] = slot.source.read(self._environ)  # type: ignore[union-attr]
            except UnresolvedError as error:
                shortage = resource_error_in(error)
                if shortage is not None:
                    raise shortage from None
                missing.append(f"{dotted(slot.path)}: {error}")
        if missing:
            raise CredentialError("; ".join(missing))
        return values, found

    def _filled(
        self, node: Any, values: dict[str, str], found: dict[KeyPath, str], secrets: list[str]
    ) -> Any:
        if isinstance(node, dict):
            return {key: self._filled(item, values, found, secrets) for key, item in node.items()}
        if isinstance(node, list):
            return [self._filled(item, values, found, secrets) for item in node]
        if not isinstance(node, _Slot):
            return node
        if isinstance(node.source, Reference):
            secrets += _secrets_of_reference(node.path, node.source, found[node.path])
            return found[node.path]
        try:
            value = node.source.evaluate(values)
        except UnresolvedError as error:
            raise CredentialError(f"{dotted(node.path)}: {error}") from None
        secrets += _secrets_of(node.path, node.source, values, value)
        return value

    def _written(self, node: Any) -> Any:
        if isinstance(node, dict):
            return {key: self._written(item) for key, item in node.items()}
        if isinstance(node, list):
            return [self._written(item) for item in node]
        if not isinstance(node, _Slot):
            return node
        if isinstance(node.source, Expression):
            return node.source.source
        return expression_for(self._names[node.path])


def _secret_variables(path: KeyPath, source: Expression | Reference) -> Iterator[str]:
    if isinstance(source, Reference):
        if source.env is not None and _is_secret_reference(path, source):
            yield source.env
        return
    hidden = _is_hidden(path)
    for name, _ in source.variables:
        if is_secret_variable(name) or (hidden and not is_public_key(name)):
            yield name


def _is_hidden(path: KeyPath) -> bool:
    return any(is_secret_key(part) for part in path if isinstance(part, str))


def _is_secret_reference(path: KeyPath, reference: Reference) -> bool:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    return not is_public_key(key) or (reference.env is not None and is_secret_variable(reference.env))


def _secrets_of_reference(path: KeyPath, reference: Reference, value: str) -> list[str]:
    """All of it, unless its key says who or where; of that, what is written as a secret: a URL's password."""
    return [*([value] if _is_secret_reference(path, reference) else []), *secrets_in(value)]


def _secrets_of(
    path: KeyPath, expression: Expression, values: Mapping[str, str], result: Any
) -> Iterator[str]:
    yield from (values[name] for name in _secret_variables(path, expression) if values.get(name))
    if _is_hidden(path) and result is not None:
        yield str(result)
    for text in (*values.values(), result):
        if isinstance(text, str):
            yield from secrets_in(text)
