"""YAML as text with places in it: what is written where, so that an edit touches nothing else.

Values are read with the loader dbt uses. Places come from PyYAML's event stream, which also serves to refuse
what would hurt: several documents, or nesting deep enough to break a recursive reader.
"""

from __future__ import annotations

import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

from floe_monitor.settings.yaml_composer import Composer, Fault

MAX_CHARACTERS = 1 << 19
MAX_DEPTH = 100

_DbtLoader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAG = "tag:yaml.org,2002:str"
_resolver = yaml.resolver.Resolver()


class UnreadableTextError(Exception):
    """The text is not one YAML document that dbt can read. Says why and where, quoting nothing of it."""


@dataclass(slots=True)
class Node:
    """A value in the text: `start` up to `end`, without end-of-line comments. Offsets count characters."""

    kind: Literal["scalar", "alias", "mapping", "sequence"]
    start: int
    end: int
    column: int
    flow: bool = False
    literal: bool = False
    """A block scalar (`|`, `>`)."""
    name: str | None = None
    """A scalar's value where it is a string."""
    children: list[Node] = field(default_factory=list)

    @property
    def entries(self) -> list[tuple[Node, Node]]:
        """Keys and values of a mapping."""
        return list(zip(self.children[::2], self.children[1::2], strict=True))

    @property
    def inline(self) -> bool:
        """Stands within its line, so that it can be replaced without touching the rest of it."""
        return self.flow or self.kind == "alias" or (self.kind == "scalar" and not self.literal)


@dataclass(frozen=True, slots=True)
class Document:
    """`root` is None where there is nothing but comments; `end` is where more text may be added."""

    root: Node | None
    end: int


def load(text: str) -> Any:
    """The value as dbt reads it. Call `locate` first: it refuses what this reader could not survive."""
    try:
        return yaml.load(text, Loader=_DbtLoader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise UnreadableTextError(_located(error)) from None
    except RecursionError:
        raise UnreadableTextError("nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - PyYAML's constructors let any error through: a 13th month, a huge int
        raise UnreadableTextError(f"a value cannot be read ({type(error).__name__})") from None


def locate(text: str) -> Document:
    """Where everything is."""
    if len(text) > MAX_CHARACTERS:
        raise UnreadableTextError(f"longer than {MAX_CHARACTERS} characters")
    try:
        return _locate(text)
    except yaml.YAMLError as error:
        # libyaml, and so dbt, takes a tab before a comment or at the end of a line for a space.
        if "\t" in text:
            with suppress(yaml.YAMLError):
                return _locate(text.replace("\t", " "))
        raise UnreadableTextError(_located(error)) from None


def _locate(text: str) -> Document:
    builder = _Builder(len(text))
    # The pure parser: the ends of nodes are not the same in libyaml's events.
    builder.compose(yaml.SafeLoader(text))
    root = builder.root
    if root is not None and root.kind == "scalar" and root.start == root.end:
        root = None
    return Document(root, builder.end)


class _Builder(Composer[Node, Node]):
    """Aliases stay as they are written, and may stand within what they mean."""

    def __init__(self, end: int) -> None:
        super().__init__(MAX_DEPTH)
        self.end = end

    def scalar(self, event: Any) -> Node:
        return _node(event)

    def alias(self, event: Any, value: Node | None) -> Node:  # noqa: ARG002 - the composer's own
        return _node(event)

    def open(self, event: Any) -> Node:
        return _node(event)

    def close(self, collection: Node, event: Any) -> Node:
        exact = collection.flow or not collection.children
        collection.end = event.end_mark.index if exact else collection.children[-1].end
        return collection

    def add(self, parent: Node, value: Node, event: Any) -> None:  # noqa: ARG002 - the composer's own
        parent.children.append(value)

    def fault(self, event: Any, fault: Fault) -> UnreadableTextError:
        return UnreadableTextError(f"{_line(event.start_mark)}{_FAULTS[fault]}")

    def end_document(self, event: Any) -> None:
        if event.explicit:
            self.end = event.start_mark.index


_FAULTS = {
    Fault.SECOND_DOCUMENT: "a second document starts",
    Fault.TOO_DEEP: "nested too deeply",
    Fault.UNDEFINED_ALIAS: "found undefined alias",
}


def _node(event: Any) -> Node:
    mark, end = event.start_mark, event.end_mark.index
    if isinstance(event, yaml.ScalarEvent):
        tag = event.tag or _resolver.resolve(yaml.ScalarNode, event.value, event.implicit)  # type: ignore[no-untyped-call]
        name = event.value if tag == _STRING_TAG else None
        return Node("scalar", mark.index, end, mark.column, literal=event.style in ("|", ">"), name=name)
    if isinstance(event, yaml.AliasEvent):
        return Node("alias", mark.index, end, mark.column)
    kind: Literal["mapping", "sequence"] = (
        "mapping" if isinstance(event, yaml.MappingStartEvent) else "sequence"
    )
    return Node(kind, mark.index, end, mark.column, flow=bool(event.flow_style))


def _line(mark: Any) -> str:
    return f"line {mark.line + 1}: " if mark else ""


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")


def _located(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return _line(error.problem_mark or error.context_mark) + describe(error)
    return describe(error)


def describe(error: yaml.YAMLError) -> str:
    """What is wrong, without the words of the text: an alias or a tag may be an unquoted password."""
    if isinstance(error, yaml.MarkedYAMLError):
        return _QUOTED.sub(_only_harmless, error.problem or error.context or "not valid YAML")
    if isinstance(error, yaml.reader.ReaderError):
        return f"character {error.position} is not allowed in YAML"
    return "not valid YAML"


def _only_harmless(match: re.Match[str]) -> str:
    quoted = match.group(1) or match.group(2) or ""
    token = re.fullmatch(r"<[a-z ]+>|\\?.|", quoted)
    return match.group(0) if token else "'…'"


def equal(a: Any, b: Any, *, ordered: bool = False) -> bool:
    """Whether two loaded values are the same, types included (`1` is neither `True` nor `1.0`).

    `ordered` also compares the order of keys. Safe on values that contain themselves.
    """
    return _equal(a, b, ordered, set())


def _equal(a: Any, b: Any, ordered: bool, seen: set[tuple[int, int]]) -> bool:
    if type(a) is not type(b):
        return False
    if not isinstance(a, dict | list):
        return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))
    pair = (id(a), id(b))
    if pair in seen:
        return True
    seen.add(pair)
    if len(a) != len(b):
        return False
    if isinstance(a, list):
        pairs = zip(a, b, strict=True)
    else:
        order = list(b) if ordered else [key if key in b else _ABSENT for key in a]
        if not all(type(x) is type(y) and x == y for x, y in zip(a, order, strict=True)):
            return False
        pairs = zip(a.values(), (b[key] for key in order), strict=True)
    return all(_equal(x, y, ordered, seen) for x, y in pairs)


_ABSENT = object()
