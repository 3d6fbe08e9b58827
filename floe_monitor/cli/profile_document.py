"""A profiles.yml read for `config import` and `check --profiles`: within bounds, and as dbt understands it.

dbt takes the last of two equal keys; that is done here too, and said. No message repeats a value: what stands
in a place that YAML does not understand may be an unquoted password.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import yaml

from floe_monitor.cli.terminal import CliError
from floe_monitor.credentials.masking import redacted
from floe_monitor.profiles.yaml_text import MAX_CHARACTERS, MAX_DEPTH, UnreadableTextError, describe, load
from floe_monitor.settings.yaml_reader import TAG, YamlReader
from floe_monitor.settings.yaml_scalars import scalar

if TYPE_CHECKING:
    from pathlib import Path

_MAX_VALUES = 20_000
_MAX_EXPRESSIONS = 1000
_MAX_OUTPUTS = 500
_resolver = yaml.resolver.Resolver()
_PLAIN_TAGS = {"int", "float", "bool", "null"}
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
        reader.compose(reader.loader(text))
    except yaml.YAMLError as error:
        raise CliError(f"{path}{_place(error)}: not YAML: {describe(error)}") from None
    try:
        load(text)  # what is beyond the composer: a 13th month, a tag on what it does not fit
    except UnreadableTextError as error:
        raise CliError(f"{path}: not YAML that dbt can read: {error}") from None
    root = reader.root.value if reader.root is not None else None
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


class _Reader(YamlReader):
    """As dbt reads it, for which any scalar may be a key."""

    no_tag = "has a tag that dbt does not understand"

    def __init__(self, path: Path) -> None:
        super().__init__(MAX_DEPTH, _MAX_VALUES)
        self.notes: list[str] = []
        self._path = path

    def key(self, event: Any) -> Any:
        return self.value(event, is_plain=event.implicit[0] and event.tag is None)

    def repeated(self, event: Any, key: Any, first_line: int) -> None:  # noqa: ARG002 - the reader's own
        shown = redacted(str(key))[:_SHOWN]
        line = event.start_mark.line + 1
        self.notes.append(f"line {line}: the key {shown!r} is given twice; dbt takes the last")

    def plain(self, text: str) -> Any:
        value = scalar(text)
        if not isinstance(value, str) or text == "<<":
            return value
        tag = _resolver.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
        return text if tag == f"{TAG}str" else Unquoted(text)

    def tagged(self, event: Any) -> Any:
        kind = event.tag.removeprefix(TAG)
        if kind == "str":
            return event.value
        if kind not in _PLAIN_TAGS:
            raise self.error(event, self.no_tag)
        return scalar(event.value)

    def error(self, event: Any, message: str) -> CliError:
        mark = event.start_mark
        return CliError(f"{self._path}:{mark.line + 1}:{mark.column + 1}: {message}")
