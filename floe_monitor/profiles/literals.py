"""Literal secrets of a profiles.yml that a write would put out of reach.

A literal password in the file may be the only copy there is. It is replaced by an `env_var` only where that
variable has a value for the monitor too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from floe_monitor.compute.toolkit.env_references import (
    ExpressionError,
    is_template,
    parse_expression,
    variables_in,
)
from floe_monitor.credentials.literal_secrets import literal_secrets
from floe_monitor.profiles.yaml_text import equal
from floe_monitor.registry.problems import dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from floe_monitor.credentials.literal_secrets import Path

_ABSENT = object()
_MOST_NAMED = 5


def refusal(own: Any, wanted: Mapping[Any, Any], is_set: Callable[[str], bool]) -> str:
    """Why the profile must not become `wanted`, naming the variables that have no value; empty otherwise."""
    outputs = own.get("outputs") if isinstance(own, dict) else None
    if not isinstance(outputs, dict):
        return ""
    found = [
        f"output {str(name)!r}, {dotted(path)}: {', '.join(unset)}"
        for name, old in outputs.items()
        if name in wanted["outputs"]
        for path, unset in _lost(old, wanted["outputs"][name], is_set)
    ]
    if not found:
        return ""
    more = f"; and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return (
        "a literal secret in the file would be replaced by an environment variable that is not set here: "
        f"{'; '.join(found[:_MOST_NAMED])}{more}. Set it, to the value that the file has, for floe-monitor "
        "and for dbt"
    )


def _lost(old: Any, new: Any, is_set: Callable[[str], bool]) -> Iterator[tuple[Path, list[str]]]:
    """The literals that `new` has no more, each with the variables without a value that stand for it."""
    for path, literal in literal_secrets(old):
        there = _at(new, path)
        if equal(there, literal):
            continue
        # A key that is gone is replaced by whatever the output now logs in with.
        named = sorted(_variables(new if there is _ABSENT else there) - _without_default(literal))
        if unset := [name for name in named if not is_set(name)]:
            yield path, unset


def _at(value: Any, path: Path) -> Any:
    for part in path:
        keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        if part not in keys:
            return _ABSENT
        value = value[part]
    return value


def _without_default(text: Any) -> set[str]:
    """The variables that the old text needed already."""
    if not isinstance(text, str) or not is_template(text):
        return set()
    try:
        return {name for name, default in parse_expression(text).variables if default is None}
    except ExpressionError:
        return set()


def _variables(value: Any) -> set[str]:
    match value:
        case dict():
            return {name for item in value.values() for name in _variables(item)}
        case list():
            return {name for item in value for name in _variables(item)}
        case str():
            return set(variables_in(value))
    return set()
