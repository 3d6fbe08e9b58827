"""One profile put into the text of a `profiles.yml`, and nothing else in it touched.

Afterwards the profile equals what was wanted; what that is, `ownership` says. Only the lines that differ are
rewritten, so that comments beside surviving keys stay; every byte outside the profile stays as it is. The new
text is read back the way dbt reads it, and kept only if our profile is what was wanted and every other one is
what it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from floe_monitor.profiles.dump import dump_block, dump_inline, dump_json
from floe_monitor.profiles.splice import (
    Edit,
    NotSpliceableError,
    Splice,
    after_entry,
    apply,
    line_start,
)
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


class MergeRefusedError(Exception):
    """The file cannot be changed without harm. The message is for the operator and quotes no value."""


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
        document, value = _parsed(text)
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


@lru_cache(maxsize=2)
def _parsed(text: str) -> tuple[Document, Any]:
    """Kept for the other profiles of the file: to find the places takes seconds where it is long.

    Nobody changes what it holds.
    """
    return locate(text.removeprefix(BOM)), load(text)


def merge(existing: Existing, wanted: dict[Any, Any], *, verbatim: bool = False) -> str:
    """The text with the profile equal to `wanted`: the same text where it is already.

    `verbatim` refuses to write anew what has the same value in both: entries beside `outputs`, and outputs.
    """
    if equal(existing.own, wanted):
        return existing.text
    _refuse_twice(existing, within=verbatim)
    bom = BOM if existing.text.startswith(BOM) else ""
    body = existing.text.removeprefix(BOM)
    anchors = ""
    for edits in _ways(existing, wanted, body):
        try:
            candidate = bom + apply(body, edits)
            if _is_right(existing, candidate, wanted, verbatim):
                return candidate
        except NotSpliceableError:
            continue
        except UnreadableTextError as error:
            anchors = f" ({error})"
    raise MergeRefusedError(
        f"profile {existing.name!r} cannot be changed without touching the rest of the file{anchors}: "
        "does an anchor join it to another profile?"
    )


def output_texts(existing: Existing) -> dict[str, str]:
    """Each output as the file spells it, its comments included; none for one that an alias brings."""
    body = existing.text.removeprefix(BOM)
    in_flow = _in_flow(existing)
    texts = {}
    for key, value in _outputs(_own_node(existing)):
        if key.name is not None:
            end = value.end if in_flow else after_entry(body, value, key.column)
            texts[key.name] = body[key.start : end].strip()
    return texts


def _in_flow(existing: Existing) -> bool:
    root, own = existing.document.root, _own_node(existing)
    outputs = _entry(own, "outputs")
    return any(node is not None and node.flow for node in (root, own, outputs))


def _own_node(existing: Existing) -> Node | None:
    return next((value for _, value in _own_entries(existing)), None)


def _entry(node: Node | None, name: str) -> Node | None:
    return next((value for key, value in _entries(node) if key.name == name), None)


def _entries(node: Node | None) -> list[tuple[Node, Node]]:
    return node.entries if node is not None and node.kind == "mapping" else []


def _outputs(own: Node | None) -> list[tuple[Node, Node]]:
    return _entries(_entry(own, "outputs"))


def _bounded(value: Any) -> bool:
    """Whether the value, aliases written out, is of a size that one can walk."""
    count, rest = 0, [value]
    while rest and count <= _MOST_VALUES:
        item = rest.pop()
        count += 1
        rest.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
    return not rest


def _is_right(existing: Existing, candidate: str, wanted: dict[Any, Any], verbatim: bool) -> bool:
    document, now = _parsed(candidate)
    if not isinstance(now, dict) or not equal(now.get(existing.name), wanted):
        return False
    others = {key: value for key, value in existing.profiles.items() if key != existing.name}
    rest = {key: value for key, value in now.items() if key != existing.name}
    if not equal(rest, others, ordered=True):
        return False
    after = Existing(candidate, document, now, existing.name)
    return not verbatim or not Counter(_spelled(existing, wanted)) - Counter(_spelled(after, wanted))


def _spelled(existing: Existing, wanted: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    """Every entry of the profile, and of its outputs, that has the wanted value already: as it is written."""
    body, own = existing.text.removeprefix(BOM), _own_node(existing)
    levels = [
        ("", _entries(own), existing.own, wanted),
        ("outputs", _outputs(own), _mapping(existing.own).get("outputs"), wanted.get("outputs")),
    ]
    for level, entries, old, new in levels:
        for key, value in entries:
            if key.name is None or equal(_mapping(old).get(key.name), _mapping(new).get(key.name)):
                yield level, body[key.start : value.end]


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _refuse_twice(existing: Existing, *, within: bool) -> None:
    """`within` looks at the profile's own keys and outputs too: YAML readers silently take the last."""
    body = existing.text.removeprefix(BOM)
    own = _own_node(existing)
    places = [(f"profile {existing.name!r}", list(_own_entries(existing)))]
    if within:
        for level, entries in (("key", _entries(own)), ("output", _outputs(own))):
            places += [(f"{level} {name!r}", found) for name, found in _by_name(entries).items()]
    for what, found in places:
        if len(found) > 1:
            lines = " and ".join(str(line_of(body, key.start)) for key, _ in found)
            raise MergeRefusedError(f"{what} is there more than once: lines {lines}")


def _by_name(entries: list[tuple[Node, Node]]) -> dict[str, list[tuple[Node, Node]]]:
    found: dict[str, list[tuple[Node, Node]]] = {}
    for key, value in entries:
        if key.name is not None:
            found.setdefault(key.name, []).append((key, value))
    return found


def _own_entries(existing: Existing) -> Iterator[tuple[Node, Node]]:
    root = existing.document.root
    if root is not None and root.kind == "mapping":
        yield from ((key, value) for key, value in root.entries if key.name == existing.name)


def _ways(existing: Existing, wanted: dict[Any, Any], body: str) -> Iterator[list[Edit]]:
    """Ways to make the change, the gentlest first."""
    root = existing.document.root
    newline = "\r\n" if "\r\n" in body else "\n"
    dump = dump_json if root is not None and root.flow else dump_inline
    splice = Splice(body, newline, dump=dump)
    flat = Splice(body, newline, keep_unnamed=False, dump=dump)
    block = {existing.name: wanted}
    own = next(_own_entries(existing), None)
    ways: list[Callable[[], list[Edit]]] = []
    if own is not None:
        ways = [
            lambda: splice.value(*own, existing.own, wanted),
            lambda: flat.value(*own, existing.own, wanted),
            lambda: [splice.inline(own[1], wanted) if dump is dump_json else splice.entry(*own, wanted)],
        ]
    elif root is not None and root.flow:
        ways = [lambda: [_in_braces(root, existing.name, wanted)]]
        if not root.children:
            ways.insert(
                0, lambda: [(root.start, root.end, splice.fresh(root.start, block, 0).rstrip("\r\n"))]
            )
    else:
        column = root.children[0].column if root is not None else 0
        end = existing.document.end
        ways = [
            lambda: [(end, end, (newline if root else "") + splice.fresh(end, block, column))],
            lambda: [(end, end, splice.fresh(end, block, column))],
        ]
        if root is not None:
            # The end may be unusable, as after a block scalar without a final newline.
            start = line_start(body, root.start)
            ways.append(lambda: [(start, start, dump_block(block, column, newline))])
    for way in ways:
        try:
            yield way()
        except (NotSpliceableError, TypeError):  # TypeError: JSON has no dates
            continue


def _in_braces(root: Node, name: str, wanted: dict[Any, Any]) -> Edit:
    entry = f"{dump_json(name)}: {dump_json(wanted)}"
    if not root.children:
        return root.start + 1, root.start + 1, entry
    end = root.children[-1].end
    return end, end, f", {entry}"
