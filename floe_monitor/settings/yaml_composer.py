"""Values or nodes composed out of YAML's events: without recursion, within bounds, safe against aliases.

PyYAML's own composer recurses and so crashes the process on a file of brackets; and it knows no bound on what
a file of aliases comes to once they are written out. What is composed is up to the subclass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Value = TypeVar("Value")
Collection = TypeVar("Collection")


class Fault(Enum):
    SECOND_DOCUMENT = 1
    TOO_DEEP = 2
    TOO_MANY_VALUES = 3
    """Once the aliases are written out."""
    UNDEFINED_ALIAS = 4


class _Frame(Generic[Collection]):
    """A mapping or list that is being read, its anchor, and the values in it."""

    __slots__ = ("anchor", "collection", "size")

    def __init__(self, collection: Collection, anchor: str | None) -> None:
        self.collection = collection
        self.anchor = anchor
        self.size = 1


class Composer(ABC, Generic[Value, Collection]):
    """`Collection` is what a mapping or list is while it is open, `Value` anything finished."""

    def __init__(self, max_depth: int, max_values: int | None = None) -> None:
        self.root: Value | None = None
        self._max_depth = max_depth
        self._max_values = max_values
        self._frames: list[_Frame[Collection]] = []
        self._anchors: dict[str, tuple[Value | None, int]] = {}
        """Values and their sizes; None for one that is still open."""
        self._started = False

    @property
    def parent(self) -> Collection | None:
        """What the next value belongs to."""
        return self._frames[-1].collection if self._frames else None

    def compose(self, loader: Any) -> None:
        """Read all that `loader`, a fresh one of PyYAML's, has to give. Raises what it and `fault` do."""
        handlers: dict[type, Callable[[Any], None]] = {
            ScalarEvent: self._scalar,
            AliasEvent: self._alias,
            MappingStartEvent: self._start,
            SequenceStartEvent: self._start,
            MappingEndEvent: self._end,
            SequenceEndEvent: self._end,
            DocumentStartEvent: self._start_document,
            DocumentEndEvent: self.end_document,
        }
        get = loader.get_event
        try:
            while (event := get()) is not None:
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        finally:
            loader.dispose()

    @abstractmethod
    def scalar(self, event: Any) -> Value: ...

    @abstractmethod
    def alias(self, event: Any, value: Value | None) -> Value:
        """`value` is what the alias stands for; None where it stands within that."""

    @abstractmethod
    def open(self, event: Any) -> Collection: ...

    @abstractmethod
    def close(self, collection: Collection, event: Any) -> Value: ...

    @abstractmethod
    def add(self, parent: Collection, value: Value, event: Any) -> None:
        """Put a finished key, value or item into what is open. `event` is the value's last one."""

    @abstractmethod
    def fault(self, event: Any, fault: Fault) -> Exception: ...

    def end_document(self, event: Any) -> None:
        """For whoever wants to know."""

    def _start_document(self, event: Any) -> None:
        if self._started:
            raise self.fault(event, Fault.SECOND_DOCUMENT)
        self._started = True

    def _scalar(self, event: Any) -> None:
        value = self.scalar(event)
        if event.anchor:
            self._anchors[event.anchor] = value, 1
        self._finish(value, 1, event)

    def _alias(self, event: Any) -> None:
        if event.anchor not in self._anchors:
            raise self.fault(event, Fault.UNDEFINED_ALIAS)
        value, size = self._anchors[event.anchor]
        self._finish(self.alias(event, value), size, event)

    def _start(self, event: Any) -> None:
        collection = self.open(event)
        if len(self._frames) >= self._max_depth:
            raise self.fault(event, Fault.TOO_DEEP)
        if event.anchor:
            self._anchors[event.anchor] = None, 1
        self._frames.append(_Frame(collection, event.anchor))

    def _end(self, event: Any) -> None:
        frame = self._frames.pop()
        value = self.close(frame.collection, event)
        if frame.anchor:
            self._anchors[frame.anchor] = value, frame.size
        self._finish(value, frame.size, event)

    def _finish(self, value: Value, size: int, event: Any) -> None:
        if not self._frames:
            self.root = value
            return
        frame = self._frames[-1]
        frame.size += size
        if self._max_values is not None and frame.size > self._max_values:
            raise self.fault(event, Fault.TOO_MANY_VALUES)
        self.add(frame.collection, value, event)
