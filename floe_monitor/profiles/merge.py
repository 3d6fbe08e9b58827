"""One profile put into the text of a `profiles.yml`, and nothing else in it touched.

A profile of the configuration is owned whole: afterwards it equals what was wanted, outputs and keys the
configuration does not have are gone. Only the lines that differ are rewritten, so that comments beside
surviving keys stay; every byte outside the profile stays as it is. The new text is read back the way dbt
reads it, and kept only if our profile is what was wanted and every other one is what it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from floe_monitor.profiles.dump import dump_block, dump_inline, dump_json
from floe_monitor.profiles.yaml_text import (
    Document,
    Node,
    UnreadableTextError,
    equal,
    line_of,
    load,
    locate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BOM = "\ufeff"
_MOST_VALUES = 20_000

Edit = tuple[int, int, str]
"""Replace the characters from the first offset up to the second."""


class MergeRefusedError(Exception):
    """The file cannot be changed without harm. The message is for the operator and quotes no value."""


class _NotSpliceableError(Exception):
    """This way of editing does not fit how the text is written."""


@dataclass(frozen=True, slots=True)
class Existing:
    """A `profiles.yml` as it is now. `own` is the profile's value in it, None where it has none."""

    text: str
    document: Document
    profiles: dict[Any, Any]
    name: str

    @property
    def own(self) -> Any:
        return self.profiles.get(self.name)


def read(text: str, name: str) -> Existing:
    """Raises `MergeRefusedError`, with the line, for what is not one YAML document holding a mapping."""
    body = text.removeprefix(BOM)
    try:
        document = locate(body)
        value = load(text)
    except UnreadableTextError as error:
        raise MergeRefusedError(f"the existing file cannot be read as YAML: {error}") from None
    if document.root is None:
        value = {}
    if not isinstance(value, dict):
        line = line_of(body, document.root.start) if document.root else 1
        raise MergeRefusedError(f"line {line}: the existing file does not hold a mapping of profiles")
    if not _bounded(value.get(name)):
        raise MergeRefusedError(f"profile {name!r} refers to itself or is too large")
    return Existing(text, document, value, name)


def merge(existing: Existing, wanted: dict[str, Any]) -> str:
    """The text with the profile equal to `wanted`: the same text where it is already."""
    if equal(existing.own, wanted):
        return existing.text
    _refuse_twice(existing)
    bom = BOM if existing.text.startswith(BOM) else ""
    body = existing.text.removeprefix(BOM)
    anchors = ""
    for edits in _ways(existing, wanted, body):
        candidate = bom + _apply(body, edits)
        try:
            if _is_right(existing, candidate, wanted):
                return candidate
        except UnreadableTextError as error:
            anchors = f" ({error})"
    raise MergeRefusedError(
        f"profile {existing.name!r} cannot be changed without touching the rest of the file{anchors}: "
        "does an anchor join it to another profile?"
    )


def own_lines(existing: Existing) -> str | None:
    """The profile as the file has it, reduced to its own lines; None where it has none."""
    body = existing.text.removeprefix(BOM)
    for key, value in _own_entries(existing):
        return body[_line_start(body, key.start) : _after(body, value, key.column)]
    return None


def _bounded(value: Any) -> bool:
    """Whether the value, aliases written out, is of a size that one can walk."""
    count, rest = 0, [value]
    while rest and count <= _MOST_VALUES:
        item = rest.pop()
        count += 1
        rest.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
    return not rest


def _is_right(existing: Existing, candidate: str, wanted: dict[str, Any]) -> bool:
    locate(candidate.removeprefix(BOM))
    now = load(candidate)
    if not isinstance(now, dict) or not equal(now.get(existing.name), wanted):
        return False
    others = {key: value for key, value in existing.profiles.items() if key != existing.name}
    return equal({key: value for key, value in now.items() if key != existing.name}, others, ordered=True)


def _refuse_twice(existing: Existing) -> None:
    entries = list(_own_entries(existing))
    if len(entries) > 1:
        body = existing.text.removeprefix(BOM)
        lines = " and ".join(str(line_of(body, key.start)) for key, _ in entries)
        raise MergeRefusedError(f"profile {existing.name!r} is there more than once: lines {lines}")


def _own_entries(existing: Existing) -> Iterator[tuple[Node, Node]]:
    root = existing.document.root
    if root is not None and root.kind == "mapping":
        yield from ((key, value) for key, value in root.entries if key.name == existing.name)


def _ways(existing: Existing, wanted: dict[str, Any], body: str) -> Iterator[list[Edit]]:
    """Ways to make the change, the gentlest first."""
    root = existing.document.root
    newline = "\r\n" if "\r\n" in body else "\n"
    splice = _Splice(body, newline)
    block = {existing.name: wanted}
    own = next(_own_entries(existing), None)
    ways: list[Callable[[], list[Edit]]] = []
    if root is not None and root.flow:
        ways = [lambda: [_in_braces(root, own, existing.name, wanted)]]
        if not root.children:
            ways.insert(
                0, lambda: [(root.start, root.end, splice.fresh(root.start, block, 0).rstrip("\r\n"))]
            )
    elif own is not None:
        ways = [
            lambda: splice.value(*own, existing.own, wanted),
            lambda: [splice.entry(*own, wanted)],
        ]
    else:
        column = root.children[0].column if root is not None else 0
        end = existing.document.end
        ways = [
            lambda: [(end, end, (newline if root else "") + splice.fresh(end, block, column))],
            lambda: [(end, end, splice.fresh(end, block, column))],
        ]
        if root is not None:
            # The end may be unusable, as after a block scalar without a final newline.
            start = _line_start(body, root.start)
            ways.append(lambda: [(start, start, dump_block(block, column, newline))])
    for way in ways:
        try:
            yield way()
        except _NotSpliceableError:
            continue


def _in_braces(root: Node, own: tuple[Node, Node] | None, name: str, wanted: dict[str, Any]) -> Edit:
    if own is not None:
        return own[1].start, own[1].end, dump_json(wanted)
    entry = f"{dump_json(name)}: {dump_json(wanted)}"
    if not root.children:
        return root.start + 1, root.start + 1, entry
    end = root.children[-1].end
    return end, end, f", {entry}"


@dataclass(frozen=True, slots=True)
class _Splice:
    """Edits of block mappings, entry by entry."""

    text: str
    newline: str

    def value(self, key: Node, value: Node, old: Any, new: Any) -> list[Edit]:
        """Make one entry's value `new`, touching as little as its style allows."""
        simple = not isinstance(new, dict | list)
        if isinstance(old, dict) and isinstance(new, dict) and new and self._walkable(value):
            return self._mapping(value, old, new)
        if value.inline and (simple or (value.flow and value.children and type(old) is type(new))):
            text = dump_inline(new)
            return [(value.start, value.end, text if value.end > value.start else f" {text}")]
        return [self.entry(key, value, new)]

    def entry(self, key: Node, value: Node, new: Any) -> Edit:
        """The whole entry written anew."""
        if key.name is None:
            raise _NotSpliceableError
        fresh = dump_block({key.name: new}, key.column, self.newline)
        return self._first_of_line(key), _after(self.text, value, key.column), fresh

    def fresh(self, offset: int, block: dict[str, Any], column: int) -> str:
        """A new entry for that place, which it makes the start of a line."""
        return self._line_break(offset) + dump_block(block, column, self.newline)

    def _walkable(self, node: Node) -> bool:
        names = Counter(key.name for key, _ in node.entries) if node.kind == "mapping" else Counter()
        return not node.flow and bool(names) and max(names.values()) == 1

    def _mapping(self, node: Node, old: dict[str, Any], new: dict[str, Any]) -> list[Edit]:
        edits: list[Edit] = []
        present = set()
        for key, value in node.entries:
            if key.name is None or key.name not in new:
                edits.append((self._first_of_line(key), _after(self.text, value, key.column), ""))
                continue
            present.add(key.name)
            if not equal(old.get(key.name), new[key.name]):
                edits.extend(self.value(key, value, old.get(key.name), new[key.name]))
        missing = {name: value for name, value in new.items() if name not in present}
        if missing:
            last_key, last_value = node.entries[-1]
            end = _after(self.text, last_value, last_key.column)
            edits.append(
                (end, end, self._line_break(end) + dump_block(missing, last_key.column, self.newline))
            )
        return edits

    def _first_of_line(self, key: Node) -> int:
        start = _line_start(self.text, key.start)
        if self.text[start : key.start].strip(" "):
            raise _NotSpliceableError
        return start

    def _line_break(self, offset: int) -> str:
        return "" if _at_line_start(self.text, offset) else self.newline


def _apply(text: str, edits: list[Edit]) -> str:
    """The edits do not overlap; two at one place keep their order."""
    parts, position = [], 0
    for start, end, fresh in sorted(edits, key=lambda edit: edit[:2]):
        parts += [text[position:start], fresh]
        position = end
    return "".join([*parts, text[position:]])


def _line_start(text: str, offset: int) -> int:
    return text.rfind("\n", 0, offset) + 1


def _at_line_start(text: str, offset: int) -> bool:
    return offset == 0 or text[offset - 1] == "\n"


def _next_line(text: str, offset: int) -> int:
    return text.find("\n", offset) + 1 or len(text)


def _after(text: str, value: Node, column: int) -> int:
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
