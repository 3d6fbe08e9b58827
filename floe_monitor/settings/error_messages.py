"""pydantic's errors in plain words, with the nearest known key. No text repeats a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.registry.problems import Problem
from floe_monitor.settings.key_tree import known_keys
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

    from floe_monitor.registry.problems import KeyPath, Place

_WORDS = {
    "missing": "is required",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text: put it in quotes",
    "string_too_short": "must not be empty",
    "string_too_long": "is too long",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}
_PATTERNS = {
    "targets": "may hold letters, digits, '_', '-' and '.', and starts with one of the first three",
    "labels": "may hold letters, digits and '_', and starts with a letter",
    "env": "is no name of an environment variable",
}


def explain(details: ErrorDetails, locate: Callable[[KeyPath], Place]) -> Problem:
    """One of `ValidationError.errors()` as a located problem."""
    location = details["loc"]
    path: KeyPath = tuple(part for part in location if part != "[key]")
    kind, context = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return Problem(
            locate(path), "unknown key", path, suggestion(str(path[-1]), known_keys(Settings, path[:-1]))
        )
    if kind == "value_error":
        message = str(context.get("error", "is not valid"))
    elif kind == "literal_error":
        message = f"must be {context['expected']}"
    elif kind == "string_pattern_mismatch":
        named = path[-2] if location[-1] == "[key]" else path[-1]
        message = _PATTERNS.get(str(named), "is not of the form expected")
    elif kind in _WORDS:
        message = _WORDS[kind]
    else:
        message = details["msg"].replace("Input should be", "must be", 1)
    return Problem(locate(path), message, path)
