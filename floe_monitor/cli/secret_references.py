"""Literal secrets of a profiles.yml as references to environment variables.

The values are kept apart, for `check --profiles` alone: they reach neither a plugin, nor a configuration, nor
a message.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from floe_monitor.compute.redaction.detection import SECRET_ENV_PREFIX, secrets_in
from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    UnresolvedError,
    expression_for,
    is_template,
    parse_expression,
    sole_variable,
    variables_in,
)
from floe_monitor.credentials.literal_secrets import is_literal_secret, literal_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping

    from floe_monitor.credentials.literal_secrets import Path


class SecretReferences:
    """`made` are the variables that stand for literals of one file, in order.

    `values` holds what each literal was, where that is known. A variable that the file itself names, and
    gives a literal default, keeps its name.
    """

    def __init__(self, profiles: Mapping[Any, Any], environ: Mapping[str, str]) -> None:
        """`profiles` are all of the file: a variable that one of them names stands for no literal."""
        self.made: dict[str, None] = {}
        self.values: dict[str, str] = {}
        self._defaults: dict[str, str] = {}
        self._taken = set(_variables_of(profiles))
        self._environ = environ

    @contextmanager
    def tentatively(self) -> Iterator[None]:
        """What is made within it is forgotten where it raises."""
        before = dict(self.made), dict(self.values), dict(self._defaults)
        try:
            yield
        except BaseException:
            self.made, self.values, self._defaults = before
            raise

    def set_in(self, environ: MutableMapping[str, str]) -> None:
        """Set the variables to the literals; dbt takes a default only where its variable is not set."""
        environ.update(self.values)
        for name, default in self._defaults.items():
            environ.setdefault(name, default)

    def replaced(self, output: dict[Any, Any], target: str) -> dict[Any, Any]:
        """The output with an expression in the place of each literal secret. `target` is for the names."""
        whole: dict[Any, Any] = _copied(output)
        for path, value in literal_secrets(output):
            parent: Any = whole
            for part in path[:-1]:
                parent = parent[part]
            parent[path[-1]] = self._reference(value, path, target)
        return whole

    def _reference(self, value: Any, path: Path, target: str) -> str:
        text = str(value)
        if not is_template(text):
            return expression_for(self._variable(path, target, text))
        sole = sole_variable(text)
        if sole is not None and sole[1]:
            self.made[sole[0]] = None
            self._defaults.setdefault(sole[0], sole[1])
            return expression_for(sole[0])
        return self._in_part(text, path, target) or expression_for(
            self._variable(path, target, self._evaluated(text))
        )

    def _in_part(self, text: str, path: Path, target: str) -> str | None:
        """The text with a reference for its one literal, where that stands beside its expressions."""
        found = sorted(set(secrets_in(text)))
        if len(found) != 1 or text.count(found[0]) != 1 or SECRET_ENV_PREFIX in text:
            return None
        before, _, after = text.partition(found[0])
        if before.count("{{") != before.count("}}"):
            return None
        name = self._name(path, target, found[0])
        mended = before + expression_for(name) + after
        if is_literal_secret(mended, secret=False):
            return None
        self._keep(name, found[0])
        return mended

    def _evaluated(self, text: str) -> str | None:
        try:
            return str(parse_expression(text).evaluate(self._environ))
        except (ExpressionError, UnresolvedError):
            return None

    def _variable(self, path: Path, target: str, value: str | None) -> str:
        name = self._name(path, target, value)
        self._keep(name, value)
        return name

    def _keep(self, name: str, value: str | None) -> None:
        self.made[name] = None
        if value is not None:
            self.values[name] = value

    def _name(self, path: Path, target: str, value: str | None) -> str:
        """Made of target and key alone."""
        parts = (SECRET_ENV_PREFIX, target, *map(str, path))
        name = re.sub(r"\W", "_", "_".join(parts), flags=re.ASCII).upper()[:200]
        while name in self._taken or (name in self.made and self.values.get(name) != value):
            name += "_"
        return name


def _variables_of(value: Any) -> Iterator[str]:
    """Every variable that a text within the value names."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _variables_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from _variables_of(item)
    elif isinstance(value, str):
        yield from variables_in(value)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value
