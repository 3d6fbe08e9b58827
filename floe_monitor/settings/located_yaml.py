"""YAML whose every key remembers where it stands.

Values are those PyYAML's safe loader gives, dbt's own reader, with what it accepts in silence refused: a key
given twice, a key that is no text, more than one document. Dates stay text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from floe_monitor.settings.problems import ConfigurationError, Place, Problem

if TYPE_CHECKING:
    from pathlib import Path

    from floe_monitor.settings.problems import KeyPath

MAX_BYTES = 32 << 20
MAX_VALUES = 4_000_000
"""Values one file may hold once its aliases are written out: a bound on alias bombs."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT_TAGS = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:binary")
_MERGE = "tag:yaml.org,2002:merge"


class LocatedDocument:
    """One file's content as `value`, and the place of everything in it."""

    def __init__(self, file: str, root: Node | None, value: Any) -> None:
        self.file = file
        self.value = value
        self._root = root

    def place(self, path: KeyPath) -> Place:
        """Of the key at `path`, or of the nearest thing above it that exists."""
        node, mark = self._root, self._root.start_mark if self._root is not None else None
        for part in path:
            step = _step(node, part)
            if step is None:
                break
            mark, node = step
        if mark is None:
            return Place(self.file)
        return Place(self.file, mark.line + 1, mark.column + 1)


def _step(node: Node | None, part: str | int) -> tuple[Any, Node] | None:
    if isinstance(node, MappingNode):
        # The last one wins: merged keys stand before a mapping's own.
        for key, value in reversed(node.value):
            if key.value == str(part):
                return key.start_mark, value
    elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
        found = node.value[part]
        return found.start_mark, found
    return None


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises `ConfigurationError` saying why not; never waits on a pipe."""
    try:
        if path.is_dir():
            raise _error(path, "is a directory, not a file")
        if path.exists() and not path.is_file():
            raise _error(path, "is no regular file")
        data = path.read_bytes()
    except FileNotFoundError:
        raise _error(path, "does not exist") from None
    except PermissionError:
        raise _error(path, "may not be read by this user") from None
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise _error(path, f"is larger than {MAX_BYTES >> 20} MB")
    return data


def parse(path: Path, data: bytes) -> LocatedDocument:
    """Raises `ConfigurationError` with the place of the first fault."""
    file = str(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([Problem(Place(file, line, 1), "is not UTF-8")]) from None
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            value = _Builder(file, loader).build(root) if root is not None else None
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise ConfigurationError([Problem(place, f"is not valid YAML: {_words(error)}")]) from None
    except yaml.YAMLError:
        raise ConfigurationError([Problem(Place(file), "holds a character YAML does not allow")]) from None
    except RecursionError:
        raise ConfigurationError([Problem(Place(file), "is nested too deeply")]) from None
    return LocatedDocument(file, root, value)


class _Builder:
    def __init__(self, file: str, loader: Any) -> None:
        self._file = file
        self._loader = loader
        self._count = 0
        self._open: set[int] = set()

    def build(self, node: Node) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise self._fault(node, "holds too many values once its aliases are written out")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise self._fault(node, "contains itself")
        self._open.add(id(node))
        try:
            if isinstance(node, SequenceNode):
                return [self.build(item) for item in node.value]
            assert isinstance(node, MappingNode)  # noqa: S101 - there are three kinds
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode) -> dict[str, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag not in ("tag:yaml.org,2002:str", _MERGE):
                raise self._fault(key, "a key must be text: put it in quotes")
            if key.tag != _MERGE and key.value in seen:
                raise self._fault(key, f"the key {key.value!r} is given twice")
            seen.add(key.value)
        self._loader.flatten_mapping(node)
        return {key.value: self.build(value) for key, value in node.value}

    def _scalar(self, node: ScalarNode) -> Any:
        if node.tag in _TEXT_TAGS:
            return node.value
        try:
            return self._loader.construct_object(node)
        except (yaml.constructor.ConstructorError, ValueError):
            raise self._fault(node, "has a tag or a value that is not understood") from None

    def _fault(self, node: Node, message: str) -> ConfigurationError:
        mark = node.start_mark
        return ConfigurationError([Problem(Place(self._file, mark.line + 1, mark.column + 1), message)])


def _words(error: yaml.MarkedYAMLError) -> str:
    parts = [part for part in (error.context, error.problem) if part]
    text = ", ".join(parts)
    return f"{text} (indent with spaces)" if "\\t" in text or "'\\t'" in repr(error.problem) else text


def _error(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([Problem(Place(str(path)), message)])
