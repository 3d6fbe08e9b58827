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
from yaml.events import AliasEvent, ScalarEvent, SequenceStartEvent

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.problems import ConfigurationError
from floe_monitor.settings.yaml_composer import Composer, Fault
from floe_monitor.settings.yaml_scalars import scalar

if TYPE_CHECKING:
    from pathlib import Path

    from floe_monitor.registry.problems import KeyPath

MAX_BYTES = 32 << 20
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values one file may hold once its aliases are written out: a bound on alias bombs."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXT_TAGS = (None, "!", f"{_TAG}str")
_MERGE = object()


class LocatedDocument:
    """One file's content as `value`, and the place of everything in it."""

    def __init__(self, file: str, text: str, value: Any) -> None:
        self.file = file
        self.value = value
        self._text = text
        self._root: _Node | None = None

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


class _Node:
    """Where the parts of one mapping or list stand: key -> line, column and the part's own node."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: dict[str | int, tuple[int, int, _Node | None]] = {}


class _Read:
    """One value read, where it starts, and its node where places are asked for."""

    __slots__ = ("column", "line", "node", "value")

    def __init__(self, value: Any, node: _Node | None, line: int = 1, column: int = 1) -> None:
        self.value, self.node, self.line, self.column = value, node, line, column


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("column", "is_list", "key", "line", "merged", "node", "own", "value")

    def __init__(self, event: Any, *, is_list: bool, located: bool) -> None:
        mark = event.start_mark
        self.is_list = is_list
        self.value: Any = [] if is_list else {}
        self.node = _Node() if located else None
        self.line, self.column = mark.line + 1, mark.column + 1
        self.key: Any = None
        self.merged: list[_Read] = []
        self.own: dict[str, tuple[int, int]] = {}

    @property
    def wants_key(self) -> bool:
        return not self.is_list and self.key is None


_FAULTS = {
    Fault.SECOND_DOCUMENT: "is a second document: one file holds one",
    Fault.TOO_DEEP: f"is nested more than {MAX_DEPTH} deep",
    Fault.TOO_MANY_VALUES: "holds too many values once its aliases are written out",
    Fault.UNDEFINED_ALIAS: "the alias has no anchor before it",
}
_NO_KEY = "a key must be text: put it in quotes"


class _Reader(Composer[_Read, _Open]):
    def __init__(self, file: str, text: str, *, located: bool = False) -> None:
        super().__init__(MAX_DEPTH, MAX_VALUES)
        self._file = file
        self._text = text
        self._located = located

    def read(self) -> _Read:
        try:
            self.compose(_Loader(self._text))
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)
            raise ConfigurationError([Problem(place, f"is not valid YAML: {_words(error)}")]) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            place = Place(self._file, before.count("\n") + 1, error.position - before.rfind("\n"))
            raise ConfigurationError([Problem(place, "holds a character YAML does not allow")]) from None
        return self.root or _Read(None, None)

    def scalar(self, event: Any) -> _Read:
        text, tag = event.value, event.tag
        parent = self.parent
        if parent is not None and parent.wants_key:
            plain = event.implicit[0] and tag is None
            if (plain and text != "<<" and not isinstance(scalar(text), str)) or tag not in _TEXT_TAGS:
                raise self._error(event, _NO_KEY)
            return _Read(_MERGE if plain and text == "<<" else text, None)
        if tag is None or tag == "!":
            return _Read(scalar(text) if event.implicit[0] and tag is None else text, None)
        return _Read(self._tagged(event, tag, text), None)

    def alias(self, event: Any, value: _Read | None) -> _Read:
        if value is None:
            raise self._error(event, "contains itself")
        return value

    def open(self, event: Any) -> _Open:
        is_list = isinstance(event, SequenceStartEvent)
        parent = self.parent
        if parent is not None and parent.wants_key:
            raise self._error(event, _NO_KEY)
        if event.tag not in (None, "!", f"{_TAG}{'seq' if is_list else 'map'}"):
            raise self._error(event, "has a tag that is not understood")
        return _Open(event, is_list=is_list, located=self._located)

    def close(self, collection: _Open, event: Any) -> _Read:  # noqa: ARG002 - the composer's own
        value, node = collection.value, collection.node
        for merged in collection.merged:
            value.update({key: item for key, item in merged.value.items() if key not in value})
            if node is not None and merged.node is not None:
                node.parts.update({key: at for key, at in merged.node.parts.items() if key not in node.parts})
        return _Read(value, node, collection.line, collection.column)

    def add(self, parent: _Open, value: _Read, event: Any) -> None:
        mark = event.start_mark
        if parent.is_list:
            if parent.node is not None:
                starts = isinstance(event, ScalarEvent | AliasEvent)
                line, column = (mark.line + 1, mark.column + 1) if starts else (value.line, value.column)
                parent.node.parts[len(parent.value)] = (line, column, value.node)
            parent.value.append(value.value)
        elif parent.key is None:
            self._open_key(parent, value.value, event)
        else:
            key, (line, column) = parent.key
            parent.key = None
            if key is _MERGE:
                self._merge(parent, value, event)
                return
            parent.value[key] = value.value
            if parent.node is not None:
                parent.node.parts[key] = (line, column, value.node)

    def fault(self, event: Any, fault: Fault) -> ConfigurationError:
        return self._error(event, _FAULTS[fault])

    def _tagged(self, event: Any, tag: str, text: str) -> Any:
        kind = tag.removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return text
        value = scalar(text) if kind in ("int", "float", "bool", "null") else None
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if kind not in kinds or not isinstance(value, kinds[kind]):
            raise self._error(event, "has a tag or a value that is not understood")
        return value

    def _open_key(self, parent: _Open, key: Any, event: Any) -> None:
        at = event.start_mark.line + 1, event.start_mark.column + 1
        if not isinstance(event, ScalarEvent):
            raise self._error(event, _NO_KEY)
        if key is not _MERGE:
            if key in parent.own:
                raise self._error(
                    event, f"the key {key!r} is given twice, first in line {parent.own[key][0]}"
                )
            parent.own[key] = at
        parent.key = key, at

    def _merge(self, parent: _Open, read: _Read, event: Any) -> None:
        if isinstance(read.value, dict):
            parent.merged.append(read)
        elif isinstance(read.value, list) and all(isinstance(item, dict) for item in read.value):
            nodes = read.node.parts if read.node is not None else {}
            for index, item in enumerate(read.value):
                parent.merged.append(_Read(item, nodes[index][2] if nodes else None))
        else:
            raise self._error(event, "<< takes a mapping or a list of mappings")

    def _error(self, event: Any, message: str) -> ConfigurationError:
        mark = event.start_mark
        return ConfigurationError([Problem(Place(self._file, mark.line + 1, mark.column + 1), message)])


def _words(error: yaml.MarkedYAMLError) -> str:
    text = ", ".join(part for part in (error.context, error.problem) if part)
    # libyaml does not say which character; where it is a tab, that is nearly always the reason.
    return f"{text} (a tab cannot indent: use spaces)" if "cannot start any token" in text else text


def _error(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(Place(str(path)), message)])
