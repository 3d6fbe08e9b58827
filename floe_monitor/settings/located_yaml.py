"""YAML whose every key can be traced to where it stands.

Values are those PyYAML's safe loader gives, dbt's own reader, with what it accepts in silence refused: a key
given twice, a key that is no text, more than one document. Dates and `12:30` stay text. It builds from the
parser's events: the parser alone is in C and fast, while PyYAML's own composer recurses and so crashes the
process on a file of brackets. Places are not kept but found by a second reading, when a problem asks.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from floe_monitor.registry.problems import Place, Problem
from floe_monitor.settings.problems import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from floe_monitor.registry.problems import KeyPath

MAX_BYTES = 32 << 20
MAX_DEPTH = 64
MAX_VALUES = 2_000_000
"""Values one file may hold once its aliases are written out: a bound on alias bombs."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_KEYWORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form: word in ("yes", "true", "on") for word in ("yes", "no", "true", "false", "on", "off")
       for form in (word, word.capitalize(), word.upper())},
}  # fmt: skip
_INT = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:nan|NaN|NAN)"
)
_NUMERIC_START = frozenset("+-.0123456789")
_LONGEST_INT = 40
_TAG = "tag:yaml.org,2002:"
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


def scalar(text: str) -> Any:
    """What a plain (unquoted) text stands for."""
    if text in _KEYWORDS:
        return _KEYWORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    if _INT.fullmatch(text) and len(text) <= _LONGEST_INT:
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _integer(text: str) -> int | str:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    try:
        if digits.startswith(("0b", "0x")):
            return sign * int(digits, 0)
        return sign * int(digits, 8 if digits.startswith("0") else 10)
    except ValueError:  # a prefix alone, `0x_`
        return text


class _Node:
    """Where the parts of one mapping or list stand: key -> line, column and the part's own node."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: dict[str | int, tuple[int, int, _Node | None]] = {}


class _Read:
    """One value read: how many values it makes written out, and its node where places are asked for."""

    __slots__ = ("column", "line", "node", "size", "value")

    def __init__(self, value: Any, node: _Node | None, size: int, line: int = 1, column: int = 1) -> None:
        self.value, self.node, self.size, self.line, self.column = value, node, size, line, column


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("anchor", "column", "is_list", "key", "line", "merged", "node", "own", "size", "value")

    def __init__(self, event: Any, *, is_list: bool, located: bool) -> None:
        mark = event.start_mark
        self.anchor: str | None = event.anchor
        self.is_list = is_list
        self.value: Any = [] if is_list else {}
        self.node = _Node() if located else None
        self.size = 1
        self.line, self.column = mark.line + 1, mark.column + 1
        self.key: Any = None
        self.merged: list[_Read] = []
        self.own: dict[str, tuple[int, int]] = {}


class _Reader:
    def __init__(self, file: str, text: str, *, located: bool = False) -> None:
        self._file = file
        self._text = text
        self._located = located
        self._stack: list[_Open] = []
        self._anchors: dict[str, _Read | None] = {}
        self._total = 0
        self._result: _Read | None = None

    def read(self) -> _Read:
        try:
            loader = _Loader(self._text)
            try:
                self._consume(loader)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            place = Place(self._file, mark.line + 1, mark.column + 1) if mark else Place(self._file)
            raise ConfigurationError([Problem(place, f"is not valid YAML: {_words(error)}")]) from None
        except yaml.reader.ReaderError as error:
            before = self._text[: error.position]
            place = Place(self._file, before.count("\n") + 1, error.position - before.rfind("\n"))
            raise ConfigurationError([Problem(place, "holds a character YAML does not allow")]) from None
        return self._result or _Read(None, None, 1)

    def _consume(self, loader: Any) -> None:
        """Feed every event to its handler; the kind of an event is its class."""
        handlers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            AliasEvent: self._alias,
            MappingStartEvent: self._start_mapping,
            SequenceStartEvent: self._start_list,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            DocumentStartEvent: self._document,
        }
        get = loader.get_event
        while (event := get()) is not None:
            handler = handlers.get(type(event))
            if handler is not None:
                handler(event)

    def _document(self, event: Any) -> None:
        if self._result is not None:
            raise self._fault(event, "is a second document: one file holds one")

    def _scalar(self, event: Any) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.key is None and not parent.is_list:
            self._open_key(parent, event)
            return
        text, tag = event.value, event.tag
        if tag is None or tag == "!":
            value = scalar(text) if event.implicit[0] and tag is None else text
        else:
            value = self._tagged(event, tag, text)
        read = _Read(value, None, 1)
        if event.anchor:
            self._anchors[event.anchor] = read
        self._add(read, event)

    def _tagged(self, event: Any, tag: str, text: str) -> Any:
        kind = tag.removeprefix(_TAG)
        if kind in ("str", "timestamp"):
            return text
        value = scalar(text) if kind in ("int", "float", "bool", "null") else None
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "null": type(None)}
        if kind not in kinds or not isinstance(value, kinds[kind]):
            raise self._fault(event, "has a tag or a value that is not understood")
        return value

    def _open_key(self, parent: _Open, event: Any) -> None:
        text = event.value
        mark = event.start_mark
        if event.implicit[0] and event.tag is None:
            if text == "<<":
                parent.key = (_MERGE, mark)
                return
            if not isinstance(scalar(text), str):
                raise self._fault(event, "a key must be text: put it in quotes")
        elif event.tag not in (None, "!", f"{_TAG}str"):
            raise self._fault(event, "a key must be text: put it in quotes")
        if text in parent.own:
            line, _ = parent.own[text]
            raise self._fault(event, f"the key {text!r} is given twice, first in line {line}")
        parent.own[text] = (mark.line + 1, mark.column + 1)
        if event.anchor:
            self._anchors[event.anchor] = _Read(text, None, 1)
        parent.key = (text, mark)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self._fault(event, f"the alias *{event.anchor} has no anchor before it")
        read = self._anchors[event.anchor]
        if read is None:
            raise self._fault(event, "contains itself")
        self._add(read, event)

    def _start_mapping(self, event: Any) -> None:
        self._start(event, is_list=False)

    def _start_list(self, event: Any) -> None:
        self._start(event, is_list=True)

    def _start(self, event: Any, *, is_list: bool) -> None:
        parent = self._stack[-1] if self._stack else None
        if parent is not None and parent.key is None and not parent.is_list:
            raise self._fault(event, "a key must be text: put it in quotes")
        if len(self._stack) >= MAX_DEPTH:
            raise self._fault(event, f"is nested more than {MAX_DEPTH} deep")
        if event.tag not in (None, "!", f"{_TAG}{'seq' if is_list else 'map'}"):
            raise self._fault(event, "has a tag that is not understood")
        if event.anchor:
            self._anchors[event.anchor] = None
        self._stack.append(_Open(event, is_list=is_list, located=self._located))

    def _end(self, event: Any) -> None:
        done = self._stack.pop()
        for merged in done.merged:
            done.value.update({key: item for key, item in merged.value.items() if key not in done.value})
            if done.node is not None and merged.node is not None:
                done.node.parts.update(
                    {key: at for key, at in merged.node.parts.items() if key not in done.node.parts}
                )
        read = _Read(done.value, done.node, done.size, done.line, done.column)
        if done.anchor:
            self._anchors[done.anchor] = read
        self._add(read, event)

    def _add(self, read: _Read, event: Any) -> None:
        """Put a finished value into what is open, or make it the result."""
        if not self._stack:
            self._result = read
            return
        parent = self._stack[-1]
        parent.size += read.size
        if parent.size > MAX_VALUES:
            raise self._fault(event, "holds too many values once its aliases are written out")
        if parent.is_list:
            if parent.node is not None:
                mark = event.start_mark
                starts = isinstance(event, ScalarEvent | AliasEvent)
                line, column = (mark.line + 1, mark.column + 1) if starts else (read.line, read.column)
                parent.node.parts[len(parent.value)] = (line, column, read.node)
            parent.value.append(read.value)
            return
        if parent.key is None:
            raise self._fault(event, "a key must be text: put it in quotes")
        key, mark = parent.key
        parent.key = None
        if key is _MERGE:
            self._merge(parent, read, event)
            return
        parent.value[key] = read.value
        if parent.node is not None:
            parent.node.parts[key] = (mark.line + 1, mark.column + 1, read.node)

    def _merge(self, parent: _Open, read: _Read, event: Any) -> None:
        if isinstance(read.value, dict):
            parent.merged.append(read)
        elif isinstance(read.value, list) and all(isinstance(item, dict) for item in read.value):
            nodes = read.node.parts if read.node is not None else {}
            for index, item in enumerate(read.value):
                parent.merged.append(_Read(item, nodes[index][2] if nodes else None, 1))
        else:
            raise self._fault(event, "<< takes a mapping or a list of mappings")

    def _fault(self, event: Any, message: str) -> ConfigurationError:
        mark = event.start_mark
        return ConfigurationError([Problem(Place(self._file, mark.line + 1, mark.column + 1), message)])


def _words(error: yaml.MarkedYAMLError) -> str:
    text = ", ".join(part for part in (error.context, error.problem) if part)
    # libyaml does not say which character; where it is a tab, that is nearly always the reason.
    return f"{text} (a tab cannot indent: use spaces)" if "cannot start any token" in text else text


def _error(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(Place(str(path)), message)])
