"""Values read from YAML as PyYAML's safe loader gives them, with the place of each where that is asked for.

What there are two opinions on is up to the subclass: which keys and tags are allowed, and what a key that is
given twice means.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import yaml
from yaml.events import AliasEvent, ScalarEvent, SequenceStartEvent

from floe_monitor.settings.yaml_composer import Composer, Fault
from floe_monitor.settings.yaml_scalars import scalar

TAG = "tag:yaml.org,2002:"
_NO_TAGS = (None, "!")
_MERGE = object()
_FAULTS = {
    Fault.SECOND_DOCUMENT: "is a second document: one file holds one",
    Fault.TOO_DEEP: "is nested more than {depth} deep",
    Fault.TOO_MANY_VALUES: "holds too many values once its aliases are written out",
    Fault.UNDEFINED_ALIAS: "the alias has no anchor before it",
}


class Node:
    """Where the parts of one mapping or list stand: key -> line, column and the part's own node."""

    __slots__ = ("parts",)

    def __init__(self) -> None:
        self.parts: dict[str | int, tuple[int, int, Node | None]] = {}


class Read:
    """One value read, where it starts, and its node where places are asked for."""

    __slots__ = ("column", "line", "node", "value")

    def __init__(self, value: Any, node: Node | None = None, line: int = 1, column: int = 1) -> None:
        self.value, self.node, self.line, self.column = value, node, line, column


class Open:
    """A mapping or list that is being read. `own`: the places of its keys, without those merged into it."""

    __slots__ = ("column", "is_list", "key", "line", "merged", "node", "own", "value")

    def __init__(self, event: Any, *, is_list: bool, located: bool) -> None:
        mark = event.start_mark
        self.is_list = is_list
        self.value: Any = [] if is_list else {}
        self.node = Node() if located else None
        self.line, self.column = mark.line + 1, mark.column + 1
        self.key: Any = None
        self.merged: list[Read] = []
        self.own: dict[Any, tuple[int, int]] = {}

    @property
    def wants_key(self) -> bool:
        return not self.is_list and self.key is None


class YamlReader(Composer[Read, Open]):
    """`compose` it, then take `root`."""

    loader: ClassVar[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    no_key = "a key must be text"
    no_tag = "has a tag that is not understood"

    def __init__(self, max_depth: int, max_values: int, *, located: bool = False) -> None:
        super().__init__(max_depth, max_values)
        self._located = located
        self._depth = max_depth

    # ------------------------------------------------------------ up to the subclass

    @abstractmethod
    def error(self, event: Any, message: str) -> Exception:
        """For what stands at the event."""

    @abstractmethod
    def key(self, event: Any) -> Any:
        """What a scalar means as a key."""

    @abstractmethod
    def repeated(self, event: Any, key: Any, first_line: int) -> None:
        """A mapping has this key a second time."""

    @abstractmethod
    def tagged(self, event: Any) -> Any:
        """The value of a scalar with a tag of its own."""

    def plain(self, text: str) -> Any:
        """The value of an unquoted scalar without a tag."""
        return scalar(text)

    # ------------------------------------------------------------ the composer's

    def scalar(self, event: Any) -> Read:
        is_plain = event.implicit[0] and event.tag is None
        parent = self.parent
        if parent is not None and parent.wants_key:
            return Read(_MERGE if is_plain and event.value == "<<" else self.key(event))
        return Read(self.value(event, is_plain=is_plain))

    def value(self, event: Any, *, is_plain: bool) -> Any:
        if event.tag not in _NO_TAGS:
            return self.tagged(event)
        return self.plain(event.value) if is_plain else event.value

    def alias(self, event: Any, value: Read | None) -> Read:
        if value is None:
            raise self.error(event, "contains itself")
        return value

    def open(self, event: Any) -> Open:
        is_list = isinstance(event, SequenceStartEvent)
        parent = self.parent
        if parent is not None and parent.wants_key:
            raise self.error(event, self.no_key)
        if event.tag not in (*_NO_TAGS, f"{TAG}{'seq' if is_list else 'map'}"):
            raise self.error(event, self.no_tag)
        return Open(event, is_list=is_list, located=self._located)

    def close(self, collection: Open, event: Any) -> Read:  # noqa: ARG002 - the composer's own
        value, node = collection.value, collection.node
        for merged in collection.merged:
            value.update({key: item for key, item in merged.value.items() if key not in value})
            if node is not None and merged.node is not None:
                node.parts.update({key: at for key, at in merged.node.parts.items() if key not in node.parts})
        return Read(value, node, collection.line, collection.column)

    def add(self, parent: Open, value: Read, event: Any) -> None:
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

    def fault(self, event: Any, fault: Fault) -> Exception:
        return self.error(event, _FAULTS[fault].format(depth=self._depth))

    def _open_key(self, parent: Open, key: Any, event: Any) -> None:
        at = event.start_mark.line + 1, event.start_mark.column + 1
        if not isinstance(event, ScalarEvent):
            raise self.error(event, self.no_key)
        if key is not _MERGE:
            if key in parent.own:
                self.repeated(event, key, parent.own[key][0])
            parent.own[key] = at
        parent.key = key, at

    def _merge(self, parent: Open, read: Read, event: Any) -> None:
        if isinstance(read.value, dict):
            parent.merged.append(read)
        elif isinstance(read.value, list) and all(isinstance(item, dict) for item in read.value):
            nodes = read.node.parts if read.node is not None else {}
            for index, item in enumerate(read.value):
                parent.merged.append(Read(item, nodes[index][2] if nodes else None))
        else:
            raise self.error(event, "<< takes a mapping or a list of mappings")
