"""What may stand where in the configuration, derived from the models' annotations."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from floe_monitor.registry.problems import KeyPath


def annotation_at(model: type[BaseModel], path: KeyPath) -> Any:
    """The annotation of the value at `path`; None where the models know of no such place."""
    annotation: Any = model
    for part in path:
        annotation = _inner(_bare(annotation), part)
    return _bare(annotation)


def known_keys(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that may stand in the mapping at `path`; none where any may."""
    found = annotation_at(model, path)
    return list(found.model_fields) if _is_model(found) else []


def _inner(annotation: Any, part: str | int) -> Any:
    if _is_model(annotation):
        field = annotation.model_fields.get(str(part))
        return field.annotation if field is not None else None
    if get_origin(annotation) in (dict, list):
        return get_args(annotation)[-1]
    return None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return _bare(next(each for each in get_args(annotation) if each is not type(None)))
    return annotation
