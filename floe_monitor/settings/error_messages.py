"""pydantic's errors in plain words, with the nearest known key. No text repeats a value."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from floe_monitor.settings.models import Settings
from floe_monitor.settings.problems import Problem, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic_core import ErrorDetails

    from floe_monitor.settings.problems import KeyPath, Place

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
        return Problem(locate(path), "unknown key", path, suggestion(str(path[-1]), known_keys(path[:-1])))
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


def known_keys(path: KeyPath) -> list[str]:
    """The keys that may stand in the mapping at `path`; none where any may."""
    annotation: Any = Settings
    for part in path:
        annotation = _inner(annotation, part)
    model = _bare(annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _inner(annotation: Any, part: str | int) -> Any:
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        field = bare.model_fields.get(str(part))
        return field.annotation if field is not None else None
    if get_origin(bare) in (dict, list):
        return get_args(bare)[-1]
    return None


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation
