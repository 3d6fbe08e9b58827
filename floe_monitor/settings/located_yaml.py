"""YAML whose every key can be traced to where it stands.

Values are those PyYAML's safe loader gives, dbt's own reader, with what it accepts in silence refused: a key
given twice, a key that is no text, more than one document. Dates and `12:30` stay text. Places are not kept
but found by a second reading, when a problem asks.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import yaml

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.problems import ConfigurationError
from floe_monitor.settings.yaml_reader import TAG, Read, YamlReader
from floe_monitor.settings.yaml_scalars import scalar

if TYPE_CHECKING:
    from pathlib import Path

    from floe_monitor.registry.problems import KeyPath
    from floe_monitor.settings.yaml_reader import Node

MAX_BYTES = 32 << 20
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values one file may hold once its aliases are written out: a bound on alias bombs."""

_TEXT_TAGS = (None, "!", f"{TAG}str")


class LocatedDocument:
    """One file's content as `value`, and the place of everything in it."""

    def __init__(self, file: str, text: str, value: Any) -> None:
        self.file = file
        self.value = value
        self._text = text
        self._root: Node | None = None

    def place(self, path: KeyPath) -> Place:
        """Of the key at `path`, or of the nearest thing above it that exists."""
        if self._root is None:
            self._root = _Reader(self.file, self._text, located=True).read().node
        node, line, column = self._root, 1, 1
        for part in path:
            found = node.parts.get(part) if node is not None else None
            if found is None:
                break
            line, column, node = found
        return Place(self.file, line, column)


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises `ConfigurationError` saying why not; never waits on a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as opened:  # noqa: PTH123 - of a descriptor
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise _error(path, "is a directory, not a file")
            if not stat.S_ISREG(status.st_mode):
                raise _error(path, "is no regular file")
            # One that is sparse is larger than what it costs to make.
            data = opened.read(MAX_BYTES + 1) if status.st_size <= MAX_BYTES else None
    except FileNotFoundError:
        raise _error(path, "does not exist") from None
    except PermissionError:
        raise _error(path, "may not be read by this user") from None
    except IsADirectoryError:
        raise _error(path, "is a directory, not a file") from None
    except ValueError:
        raise _error(path, "cannot be read: not a usable path") from None
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from None
    if data is None or len(data) > MAX_BYTES:
        raise _error(path, f"is larger than {MAX_BYTES >> 20} MB")
    return data


def parse(path: Path, data: bytes) -> LocatedDocument:
    """Raises `ConfigurationError` with the place of the first fault. Without content the value is None."""
    file = str(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([Problem(Place(file, line, 1), "is not UTF-8")]) from None
    return LocatedDocument(file, text, _Reader(file, text).read().value)


class _Reader(YamlReader):
    no_key = "a key must be text: put it in quotes"

    def __init__(self, file: str, text: str, *, located: bool = False) -> None:
        super().__init__(MAX_DEPTH, MAX_VALUES, located=located)
        self._file = file
        self._text = text

    def read(self) -> Read:
        try:
            self.compose(self.loader(self._text))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)
            raise ConfigurationError([Problem(place, f"is not valid YAML: {_words(error)}")]) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            place = Place(self._file, before.count("\n") + 1, error.position - before.rfind("\n"))
            raise ConfigurationError([Problem(place, "holds a character YAML does not allow")]) from None
        return self.root or Read(None)

    def key(self, event: Any) -> str:
        text: str = event.value
        is_plain = event.implicit[0] and event.tag is None
        if (is_plain and not isinstance(scalar(text), str)) or event.tag not in _TEXT_TAGS:
            raise self.error(event, self.no_key)
        return text

    def repeated(self, event: Any, key: Any, first_line: int) -> None:
        raise self.error(event, f"the key {key!r} is given twice, first in line {first_line}")

    def tagged(self, event: Any) -> Any:
        kind = event.tag.removeprefix(TAG)
        if kind in ("str", "timestamp"):
            return event.value
        value = scalar(event.value) if kind in ("int", "float", "bool", "null") else None
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if kind not in kinds or not isinstance(value, kinds[kind]):
            raise self.error(event, "has a tag or a value that is not understood")
        return value

    def error(self, event: Any, message: str) -> ConfigurationError:
        mark = event.start_mark
        return ConfigurationError([Problem(Place(self._file, mark.line + 1, mark.column + 1), message)])


def _words(error: yaml.MarkedYAMLError) -> str:
    text = ", ".join(part for part in (error.context, error.problem) if part)
    # libyaml does not say which character; where it is a tab, that is nearly always the reason.
    return f"{text} (a tab cannot indent: use spaces)" if "cannot start any token" in text else text


def _error(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(Place(str(path)), message)])
