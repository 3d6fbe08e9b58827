"""A target's keys, checked against its plugin's model.

Problems are collected and located, with the nearest known key beside an unknown one. Their texts never
repeat a value: any value may be a secret in the wrong place.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError, create_model, field_validator

from floe_monitor.compute.models import ComputeConfig
from floe_monitor.compute.toolkit.env_references import is_template
from floe_monitor.compute.toolkit.suggestions import suggestion
from floe_monitor.compute.validation_messages import REQUIRED, UNKNOWN_KEY, describe_without_values
from floe_monitor.registry import foreign_plugin
from floe_monitor.registry.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from floe_monitor.compute.plugin import ComputePlugin, ConfigT
    from floe_monitor.registry.problems import KeyPath

_COMMON = frozenset(ComputeConfig.model_fields)
_TARGET_KEYS = _COMMON | {
    "distribution",
    "catalog",
    "probe",
    "labels",
    "output",
    "output_keys",
    "output_without",
}
"""What any target may have; for the nearest key only, the daemon's settings check these."""


class ConfigProblems(Exception):  # noqa: N818 - it is the collection that is raised
    """Everything that is wrong with one target's keys."""

    def __init__(self, problems: Collection[Problem]) -> None:
        # A key that is missing because it is misspelt is one problem, not two.
        unknown = {
            (problem.path[:-1], problem.hint) for problem in problems if problem.message == UNKNOWN_KEY
        }
        self.problems = tuple(
            problem
            for problem in problems
            if problem.message != REQUIRED or (problem.path[:-1], _meant(problem.path)) not in unknown
        )
        super().__init__("\n".join(map(str, self.problems)))


def build_config(plugin: ComputePlugin[ConfigT], fields: Mapping[str, Any]) -> ConfigT:
    """The configuration a plugin's methods take, from a target's keys; raises `ConfigProblems`.

    A plugin whose model extends `ComputeConfig` gets an instance of it; any other gets a plain
    `ComputeConfig` whose `connection` its model, if any, has approved. An expression of dbt's is let
    through where the model wants another type: it is what `generate_dbt_profile` has to write down.
    """
    return cast("ConfigT", _built(plugin, fields))


def _built(plugin: ComputePlugin[Any], fields: Mapping[str, Any]) -> ComputeConfig:
    schema = _schema_of(plugin)
    data = {**fields, "connection": copy.deepcopy(fields.get("connection", {}))}
    if schema is None:
        return _whole(ComputeConfig, data, own=frozenset(), open_connection=True)
    if issubclass(schema, ComputeConfig):
        own = frozenset(_keys(schema)) - _COMMON
        return _whole(schema, data, own=own, open_connection=not own)
    _approve_connection(schema, data["connection"])
    return _whole(ComputeConfig, data, own=frozenset(), open_connection=True)


def may_be_blank(plugin: ComputePlugin[Any], key: str) -> bool:
    """Whether a key of `connection` holds a text or nothing: dbt takes an empty one for nothing."""
    schema = _schema_of(plugin)
    fields = {} if schema is None else schema.model_fields
    for name, field in fields.items():
        if key in {name, field.alias}:
            kinds = set(_kinds(field.annotation))
            return kinds >= {str, type(None)}
    return False


def _kinds(annotation: Any) -> Iterator[Any]:
    if isinstance(annotation, str):  # one that a Literal names
        yield str
    elif get_origin(annotation) in {dict, list} or not get_args(annotation):
        yield annotation if isinstance(annotation, type) else None
    else:
        for part in get_args(annotation):
            yield from _kinds(part)


def _schema_of(plugin: ComputePlugin[Any]) -> type[BaseModel] | None:
    schema: Any
    try:
        schema = foreign_plugin.config_schema(plugin)
    except Exception as error:  # noqa: BLE001 - the plugin's code
        raise ConfigProblems([Problem(None, f"get_config_schema raised {type(error).__name__}")]) from None
    if schema is None or (isinstance(schema, type) and issubclass(schema, BaseModel)):
        return schema
    raise ConfigProblems([Problem(None, "get_config_schema returned no pydantic model")])


def _whole(
    schema: type[ComputeConfig], data: dict[str, Any], *, own: frozenset[str], open_connection: bool
) -> ComputeConfig:
    connection = data["connection"]
    problems = [
        _unknown((key,), key, _TARGET_KEYS | own) for key in data if key not in _COMMON and key not in own
    ]
    if not open_connection and isinstance(connection, dict):
        problems += [_unknown(("connection", key), key, own) for key in connection if key not in own]
    found = _validate(schema, data)
    if isinstance(found, ComputeConfig) and not problems:
        return found
    if not isinstance(found, ComputeConfig):
        known_bad = {problem.path for problem in problems}
        for problem in _explain(found, schema, data):
            path = problem.path
            if path and path[0] in own and path[0] not in data:
                path = ("connection", *path)
            if path not in known_bad:
                problems.append(replace(problem, path=path))
    raise ConfigProblems(problems)


def _approve_connection(schema: type[BaseModel], connection: object) -> None:
    problems: list[Problem] = []
    if isinstance(connection, dict) and schema.model_config.get("extra") != "allow":
        known = _keys(schema)
        problems = [_unknown(("connection", key), key, known) for key in connection if key not in known]
    found = _validate(schema, connection)
    if not isinstance(found, BaseModel):
        known_bad = {problem.path for problem in problems}
        explained = (
            replace(problem, path=("connection", *problem.path))
            for problem in _explain(found, schema, connection)
        )
        problems += [problem for problem in explained if problem.path not in known_bad]
    if problems:
        raise ConfigProblems(problems)


def _validate(schema: type[BaseModel], data: Any) -> BaseModel | Exception:
    try:
        return schema.model_validate(data)
    except ValidationError as error:
        given = (detail["input"] for detail in error.errors(include_url=False))
        if not any(isinstance(value, str) and is_template(value) for value in given):
            return error
    except Exception as error:  # noqa: BLE001 - a validator is the plugin's code
        return error
    try:
        return _lenient(schema).model_validate(data)
    except Exception as error:  # noqa: BLE001 - a validator is the plugin's code
        return error


@lru_cache(maxsize=64)
def _lenient(schema: type[BaseModel]) -> type[BaseModel]:
    """`schema`, but a field that rejects an expression of dbt's takes it as it is."""

    def let_expressions_through(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValueError:
            if isinstance(value, str) and is_template(value):
                return value
            raise

    return create_model(
        schema.__name__,
        __base__=schema,
        __module__=schema.__module__,
        __validators__={
            "_let_expressions_through": field_validator("*", mode="wrap")(let_expressions_through)
        },
    )


def _explain(error: Exception | BaseModel, schema: type[BaseModel], data: Any) -> Iterator[Problem]:
    if not isinstance(error, ValidationError):
        yield Problem(None, f"the plugin's configuration model failed with {type(error).__name__}")
        return
    seen: set[tuple[KeyPath, str]] = set()
    for detail in error.errors(include_url=False):
        path = _real_path(detail["loc"], data)
        if detail["type"] == "extra_forbidden":
            problem = _unknown(path, str(path[-1]), _keys_at(schema, path[:-1]))
        else:
            message = foreign_plugin.clean_text(describe_without_values(detail), limit=300)
            problem = Problem(None, message, path)
        if (problem.path, problem.message) not in seen:
            seen.add((problem.path, problem.message))
            yield problem


def _real_path(location: tuple[str | int, ...], data: Any) -> KeyPath:
    """pydantic's location without the names of union members and validators in it."""
    if location and isinstance(data, dict) and location[0] not in data:
        beside = data.get("connection")
        if isinstance(beside, dict) and location[0] in beside:
            data = beside
    path: list[str | int] = []
    missing: str | int | None = None
    for part in location:
        missing = part
        known = part in data if isinstance(data, dict) else isinstance(data, list) and _within(part, data)
        if known:
            data = data[part]
            path.append(part)
            missing = None
    if isinstance(data, dict) and missing is not None:
        path.append(missing)
    return tuple(path)


def _within(part: str | int, items: list[Any]) -> bool:
    return isinstance(part, int) and part < len(items)


def _keys(schema: type[BaseModel]) -> dict[str, None]:
    """Every key the model accepts, in order."""
    by_name = schema.model_config.get("populate_by_name") or schema.model_config.get("validate_by_name")
    keys: dict[str, None] = {}
    for name, field in schema.model_fields.items():
        alias = field.validation_alias or field.alias
        names = alias.choices if isinstance(alias, AliasChoices) else [alias]
        aliases = [item for item in names if isinstance(item, str)]
        keys.update(dict.fromkeys([name, *aliases] if by_name or not aliases else aliases))
    return keys


def _keys_at(schema: type[BaseModel], path: KeyPath) -> Collection[str]:
    """The keys known where `path` leads; of every model that could stand there."""
    models = [schema]
    for part in path:
        if isinstance(part, int):
            continue
        annotations = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        models = [model for annotation in annotations for model in _models_in(annotation)] or models
    return {key for model in models for key in _keys(model)}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _unknown(path: KeyPath, key: str, known: Collection[str]) -> Problem:
    return Problem(None, UNKNOWN_KEY, path, suggestion(str(key), known))


def _meant(path: KeyPath) -> str:
    """The hint of an unknown key that is a misspelling of this one."""
    return f"did you mean {path[-1]!r}?" if path else ""
