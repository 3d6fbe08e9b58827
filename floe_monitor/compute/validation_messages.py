"""What a pydantic model refuses, in plain words: for settings, targets and results of plugins alike."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

from pydantic_core import core_schema

from floe_monitor.compute.redaction.detection import is_public_key, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic_core import ErrorDetails

REQUIRED = "is required"
UNKNOWN_KEY = "unknown key"
_WORDS = {
    "missing": REQUIRED,
    "extra_forbidden": UNKNOWN_KEY,
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text: put it in quotes",
    "string_too_long": "is too long",
    "dict_type": "must be a mapping",
    "list_type": "must be a list",
    "too_long": "has too many entries",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
}
_ECHOING = frozenset({"value_error", "assertion_error", "union_tag_invalid", "union_tag_not_found"})
_SILENT = frozenset(get_args(core_schema.ErrorType)) - _ECHOING
"""Kinds of pydantic's own errors whose text has no part of the input."""


def describe(details: ErrorDetails) -> str:
    """One of `ValidationError.errors()`; a validator's own text as it is, which may repeat the value."""
    return _words(details) or _lowered(_message(details))


def describe_without_values(details: ErrorDetails) -> str:
    """The same with `***` for what it repeats of the input: any value may be a secret in the wrong place.

    `details` need their input; a model's validators may be a stranger's.
    """
    message = _message(details)
    if details["type"] not in _SILENT:
        message = _masked(message, details["input"])
    return _words(details) or _lowered(message)


def _words(details: ErrorDetails) -> str | None:
    kind, context = details["type"], details.get("ctx", {})
    if kind == "string_type" and isinstance(details.get("input"), list | dict):
        return "must be text"
    if kind in ("string_too_short", "too_short") and context.get("min_length") == 1:
        return "must not be empty"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    return _WORDS.get(kind)


def _message(details: ErrorDetails) -> str:
    return details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _lowered(message: str) -> str:
    message = message[:1].lower() + message[1:]
    return message.replace("input should be", "must be", 1)


def _masked(message: str, given: object) -> str:
    plugin = given.get("plugin") if isinstance(given, dict) else None
    for leaf in sorted(_leaves(given), key=len, reverse=True):
        if leaf == plugin or (leaf not in message and repr(leaf) not in message):
            continue
        # A short value is looked for as a word alone: else a 5 would blot the 15 of the rule.
        edge = r"\b" if len(leaf) < 4 and leaf.isalnum() else ""
        message = re.sub(rf"{re.escape(repr(leaf))}|{edge}{re.escape(leaf)}{edge}", "***", message)
    return message


def _leaves(value: object, key: str = "") -> Iterator[str]:
    """What a message must not repeat: of one value all, for its place says which; of a mapping what may be a
    secret, as a user's name or an authenticator is none."""
    if isinstance(value, dict):
        for below, item in value.items():
            yield from _leaves(item, str(below))
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item, key)
    elif hasattr(value, "get_secret_value"):
        yield from _leaves(value.get_secret_value(), key)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield from secrets_in(str(value)) if is_public_key(key) else [str(value)]
