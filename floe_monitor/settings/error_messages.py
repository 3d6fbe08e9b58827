"""What is wrong with the settings as located problems, with the nearest known key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.compute.validation_messages import UNKNOWN_KEY, describe
from floe_monitor.registry.problems import Problem
from floe_monitor.settings.key_tree import known_keys
from floe_monitor.settings.models import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

    from floe_monitor.registry.problems import KeyPath, Place

_PATTERNS = {
    "targets": "may hold letters, digits, '_', '-' and '.', and starts with one of the first three",
    "labels": "may hold letters, digits and '_', and starts with a letter",
    "env": "is no name of an environment variable",
    "hash": "must be as `floe-monitor token` prints it: sha256: and 64 hexadecimal digits",
    "mode": "must be three octal digits in quotes: '0660'",
    "tokens": "may hold letters, digits, '_', '-' and '.', and starts with one of the first three",
    "users": "may hold letters, digits, '_', '-' and '.', and starts with one of the first three",
    "user_header": "must be the name of a header: X-Forwarded-User",
}


def explain(details: ErrorDetails, locate: Callable[[KeyPath], Place]) -> Problem:
    """One of `ValidationError.errors()` as a located problem."""
    location = details["loc"]
    path: KeyPath = tuple(part for part in location if part != "[key]")
    if details["type"] == "extra_forbidden":
        near = suggestion(str(path[-1]), known_keys(Settings, path[:-1]))
        return Problem(locate(path), UNKNOWN_KEY, path, near)
    if details["type"] == "string_pattern_mismatch":
        named = path[-2] if location[-1] == "[key]" else path[-1]
        return Problem(locate(path), _PATTERNS.get(str(named), "is not of the form expected"), path)
    return Problem(locate(path), describe(details), path)
