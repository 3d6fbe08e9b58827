"""Edits of a mapping in a text, entry by entry: what does not change keeps its bytes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.profiles.dump import dump_block, dump_inline
from floe_monitor.profiles.yaml_text import Node, equal

if TYPE_CHECKING:
    from collections.abc import Callable

Edit = tuple[int, int, str]
"""Replace the characters from the first offset up to the second."""

_COMMA = re.compile(r"[ \t]*,[ \t]*")


class NotSpliceableError(Exception):
    """This way of editing does not fit how the text is written."""


@dataclass(frozen=True, slots=True)
class Splice:
    """`keep_unnamed` leaves entries whose key is no text (`<<`, a number) where they are.

    `dump` writes a value within a line: as YAML, or as JSON where the whole file is JSON.
    """

    text: str
    newline: str
    keep_unnamed: bool = True
    dump: Callable[[Any], str] = dump_inline

    def value(self, key: Node, value: Node, old: Any, new: Any) -> list[Edit]:
        """Make one entry's value `new`, touching as little as its style allows."""
        simple = not isinstance(new, dict | list)
        if isinstance(old, dict) and isinstance(new, dict) and new and _walkable(value):
            return self._flow(value, old, new) if value.flow else self._block(value, old, new)
        if _item_by_item(value, old, new):
            try:
                return self._items(value, old, new)
            except NotSpliceableError:
                pass
        if value.inline and (simple or (value.flow and value.children and type(old) is type(new))):
            return [self.inline(value, new)]
        return [self.entry(key, value, new)]

    def inline(self, value: Node, new: Any) -> Edit:
        """A value within its line written anew."""
        text = self.dump(new)
        return value.start, value.end, text if value.end > value.start else f" {text}"

    def entry(self, key: Node, value: Node, new: Any) -> Edit:
        """The whole entry written anew."""
        if key.name is None:
            raise NotSpliceableError
        fresh = dump_block({key.name: new}, key.column, self.newline)
        return self._first_of_line(key), after_entry(self.text, value, key.column), fresh

    def fresh(self, offset: int, block: dict[str, Any], column: int) -> str:
        """A new entry for that place, which it makes the start of a line."""
        return self._line_break(offset) + dump_block(block, column, self.newline)

    def _stays(self, key: Node, new: dict[Any, Any]) -> bool:
        return self.keep_unnamed if key.name is None else key.name in new

    def _missing(self, node: Node, old: dict[Any, Any], new: dict[Any, Any]) -> dict[Any, Any]:
        """Entries to add. One that an entry without a name brings already (`<<`) is not written twice."""
        there = {key.name for key, _ in node.entries}
        missing = {name: value for name, value in new.items() if name not in there}
        if self.keep_unnamed:
            return {k: v for k, v in missing.items() if not (k in old and equal(old[k], v))}
        return missing

    def _block(self, node: Node, old: dict[Any, Any], new: dict[Any, Any]) -> list[Edit]:
        edits: list[Edit] = []
        for key, value in node.entries:
            if not self._stays(key, new):
                edits.append((self._first_of_line(key), after_entry(self.text, value, key.column), ""))
            elif key.name is not None and not equal(old.get(key.name), new[key.name]):
                edits.extend(self.value(key, value, old.get(key.name), new[key.name]))
        if missing := self._missing(node, old, new):
            last_key, last_value = node.entries[-1]
            end = after_entry(self.text, last_value, last_key.column)
            edits.append((end, end, self.fresh(end, missing, last_key.column)))
        return edits

    def _flow(self, node: Node, old: dict[Any, Any], new: dict[Any, Any]) -> list[Edit]:
        stays = [self._stays(key, new) for key, _ in node.entries]
        if not any(stays):
            return [self.inline(node, new)]
        edits = self._flow_removals(node.entries, stays)
        for (key, value), kept in zip(node.entries, stays, strict=True):
            if kept and key.name is not None and not equal(old.get(key.name), new[key.name]):
                edits.extend(self._flow_value(value, old.get(key.name), new[key.name]))
        if missing := self._missing(node, old, new):
            last = max(index for index, kept in enumerate(stays) if kept)
            end = node.entries[last][1].end
            added = "".join(f", {self.dump(name)}: {self.dump(value)}" for name, value in missing.items())
            edits.append((end, end, added))
        return edits

    def _flow_value(self, value: Node, old: Any, new: Any) -> list[Edit]:
        if isinstance(old, dict) and isinstance(new, dict) and new and _walkable(value):
            return self._flow(value, old, new)
        if _item_by_item(value, old, new):
            return self._items(value, old, new)
        return [self.inline(value, new)]

    def _items(self, node: Node, old: list[Any], new: list[Any]) -> list[Edit]:
        """The items that differ, each in its place."""
        edits: list[Edit] = []
        for child, there, wanted in zip(node.children, old, new, strict=True):
            if equal(there, wanted):
                continue
            if isinstance(there, dict) and isinstance(wanted, dict) and wanted and _walkable(child):
                edits += self._flow(child, there, wanted) if child.flow else self._block(child, there, wanted)
            elif _item_by_item(child, there, wanted):
                edits += self._items(child, there, wanted)
            elif child.inline:
                edits.append(self.inline(child, wanted))
            else:
                raise NotSpliceableError
        return edits

    def _flow_removals(self, entries: list[tuple[Node, Node]], stays: list[bool]) -> list[Edit]:
        """Each entry that goes, with one comma and no comment: a last comma may stay before one."""
        last = max(index for index, kept in enumerate(stays) if kept)
        tail = [
            (entries[index - 1][1].end, entries[index][0].start) for index in range(last + 1, len(entries))
        ]
        commented = any("#" in self.text[start:end] for start, end in tail)
        edits: list[Edit] = []
        for index, (key, value) in enumerate(entries):
            if stays[index]:
                continue
            if index > last and not commented:
                edits.append((entries[index - 1][1].end, value.end, ""))
                continue
            comma = _COMMA.match(self.text, value.end)
            if comma is None and index < len(entries) - 1:
                raise NotSpliceableError
            edits.append((key.start, comma.end() if comma else value.end, ""))
        return edits

    def _first_of_line(self, key: Node) -> int:
        start = line_start(self.text, key.start)
        if self.text[start : key.start].strip(" "):
            raise NotSpliceableError
        return start

    def _line_break(self, offset: int) -> str:
        return "" if _at_line_start(self.text, offset) else self.newline


def apply(text: str, edits: list[Edit]) -> str:
    """The edits do not overlap; two at one place keep their order."""
    parts, position = [], 0
    for start, end, fresh in sorted(edits, key=lambda edit: edit[:2]):
        if start < position:
            raise NotSpliceableError
        parts += [text[position:start], fresh]
        position = end
    return "".join([*parts, text[position:]])


def line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def after_entry(text: str, value: Node, column: int) -> int:
    """The start of the line behind an entry whose key stands at `column`.

    Its end-of-line comment is part of it, and so are comment lines indented deeper than the key; those at the
    key's own depth belong to whatever follows.
    """
    end = value.end if _at_line_start(text, value.end) else _next_line(text, value.end)
    position = end
    while position < len(text):
        line = text[position : _next_line(text, position)]
        content = line.lstrip(" ")
        if content.startswith("#") and len(line) - len(content) > column:
            end = position + len(line)
        elif content.strip():
            break
        position += len(line)
    return end


def _walkable(node: Node) -> bool:
    names = Counter(key.name for key, _ in node.entries if key.name is not None and node.kind == "mapping")
    return node.kind == "mapping" and bool(node.children) and (not names or max(names.values()) == 1)


def _item_by_item(node: Node, old: Any, new: Any) -> bool:
    lists = isinstance(old, list) and isinstance(new, list) and node.kind == "sequence"
    return lists and len(old) == len(new) == len(node.children)


def _at_line_start(text: str, offset: int) -> bool:
    return offset == 0 or text[offset - 1] == "\n"


def _next_line(text: str, offset: int) -> int:
    return text.find("\n", offset) + 1 or len(text)
