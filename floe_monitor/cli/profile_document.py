"""A profiles.yml read for `config import` and `check --profiles`: within bounds, and as dbt understands it.

dbt takes the last of two equal keys; that is done here too, and said. No message repeats a value: what stands
in a place that YAML does not understand may be an unquoted password.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import ScalarEvent, SequenceStartEvent

from floe_monitor.cli.terminal import CliError
from floe_monitor.credentials.masking import redacted
from floe_monitor.profiles.yaml_text import MAX_CHARACTERS, MAX_DEPTH, UnreadableTextError, describe, load
from floe_monitor.settings.yaml_composer import Composer, Fault
from floe_monitor.settings.yaml_scalars import scalar

if TYPE_CHECKING:
    from pathlib import Path

_MAX_VALUES = 20_000
_MAX_EXPRESSIONS = 1000
_MAX_OUTPUTS = 500
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_resolver = yaml.resolver.Resolver()
_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = {"int", "float", "bool", "null"}
_MERGE = object()
_SHOWN = 60


class Unquoted(str):
    """A plain text that YAML, and so dbt, takes for a date, or for a number (`12:30`) that no other reader
    sees in it.
    """

    __slots__ = ()


class Document:
    """`profiles` by name. `notes`: what a reader may not expect, each with its line."""

    def __init__(self, profiles: dict[Any, Any], notes: list[str]) -> None:
        self.profiles = profiles
        self.notes = notes


def read_document(path: Path) -> Document:
    """Raises `CliError` saying what is wrong and where."""
    text = _read(path)
    reader = _Reader(path)
    try:
        reader.compose(_Loader(text))
    except yaml.YAMLError as error:
        raise CliError(f"{path}{_place(error)}: not YAML: {describe(error)}") from None
    try:
        load(text)  # what is beyond the composer: a 13th month, a tag on what it does not fit
    except UnreadableTextError as error:
        raise CliError(f"{path}: not YAML that dbt can read: {error}") from None
    root = reader.root
    if not isinstance(root, dict):
        raise CliError(f"{path} is not a profiles.yml: it has no profiles")
    profiles = {name: body for name, body in root.items() if name != "config"}
    if text.count("{{") > _MAX_EXPRESSIONS:
        raise CliError(f"{path} has more than {_MAX_EXPRESSIONS} expressions")
    if sum(map(_outputs, profiles.values())) > _MAX_OUTPUTS:
        raise CliError(f"{path} has more than {_MAX_OUTPUTS} outputs")
    return Document(profiles, reader.notes)


def _outputs(profile: Any) -> int:
    outputs = profile.get("outputs") if isinstance(profile, dict) else None
    return len(outputs) if isinstance(outputs, dict) else 0


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - of a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise CliError(f"cannot read {path}: not a regular file")
            data = opened.read(4 * MAX_CHARACTERS + 1)
    except OSError as error:
        raise CliError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from None
    except ValueError:
        raise CliError(f"cannot read {path}: not a usable path") from None
    try:
        text = data.decode("utf-8-sig") if len(data) <= 4 * MAX_CHARACTERS else None
    except UnicodeDecodeError:
        raise CliError(f"{path} is not UTF-8 text") from None
    if text is None or len(text) > MAX_CHARACTERS:
        raise CliError(f"{path} is longer than {MAX_CHARACTERS} characters")
    return text


def _place(error: Any) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f":{mark.line + 1}:{mark.column + 1}" if mark else ""


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("is_list", "key", "merged", "value")

    def __init__(self, *, is_list: bool) -> None:
        self.is_list = is_list
        self.value: Any = [] if is_list else {}
        self.key: Any = None
        self.merged: list[dict[Any, Any]] = []


_FAULTS = {
    Fault.SECOND_DOCUMENT: "is a second document: one file holds one",
    Fault.TOO_DEEP: f"is nested more than {MAX_DEPTH} deep",
    Fault.TOO_MANY_VALUES: "holds too many values once its aliases are written out",
    Fault.UNDEFINED_ALIAS: "the alias has no anchor before it",
}


class _Reader(Composer[Any, _Open]):
    def __init__(self, path: Path) -> None:
        super().__init__(MAX_DEPTH, _MAX_VALUES)
        self.notes: list[str] = []
        self._path = path

    def scalar(self, event: Any) -> Any:
        text, tag = event.value, event.tag
        plain = event.implicit[0] and tag is None
        if tag not in (None, "!"):
            return self._tagged(event, tag, text)
        if not plain:
            return text
        if text == "<<":
            return _MERGE
        value = scalar(text)
        if isinstance(value, str):
            tag = _resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
            return text if tag == f"{_TAG}str" else Unquoted(text)
        return value

    def alias(self, event: Any, value: Any) -> Any:
        # None is what an empty value is, too.
        if value is None and any(frame.anchor == event.anchor for frame in self._frames):
            raise self._error(event, "contains itself")
        return value

    def open(self, event: Any) -> _Open:
        is_list = isinstance(event, SequenceStartEvent)
        if event.tag not in (None, "!", f"{_TAG}{'seq' if is_list else 'map'}"):
            raise self._error(event, "has a tag that dbt does not understand")
        return _Open(is_list=is_list)

    def close(self, collection: _Open, event: Any) -> Any:  # noqa: ARG002 - the composer's own
        for merged in collection.merged:
            collection.value.update({k: v for k, v in merged.items() if k not in collection.value})
        return collection.value

    def add(self, parent: _Open, value: Any, event: Any) -> None:
        if parent.is_list:
            parent.value.append("<<" if value is _MERGE else value)
        elif parent.key is None:
            if not isinstance(event, ScalarEvent):
                raise self._error(event, "a key must be text")
            mark: Any = event.start_mark
            parent.key = (value, mark.line + 1)
        else:
            (key, line), parent.key = parent.key, None
            if key is _MERGE:
                self._merge(parent, value, event)
                return
            if key in parent.value:
                shown = redacted(str(key))[:_SHOWN]
                self.notes.append(f"line {line}: the key {shown!r} is given twice; dbt takes the last")
            parent.value[key] = "<<" if value is _MERGE else value

    def fault(self, event: Any, fault: Fault) -> CliError:
        return self._error(event, _FAULTS[fault])

    def _tagged(self, event: Any, tag: str, text: str) -> Any:
        kind = tag.removeprefix(_TAG)
        if kind == "str":
            return text
        if kind not in _PLAIN_TAGS:
            raise self._error(event, "has a tag that dbt does not understand")
        return scalar(text)

    def _merge(self, parent: _Open, value: Any, event: Any) -> None:
        merged = value if isinstance(value, list) else [value]
        if not all(isinstance(item, dict) for item in merged):
            raise self._error(event, "<< takes a mapping or a list of mappings")
        parent.merged.extend(merged)

    def _error(self, event: Any, message: str) -> CliError:
        mark = event.start_mark
        return CliError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {message}")
