"""YAML as text with places in it: what is written where, so that an edit touches nothing else.

Values are read with the loader dbt uses. Places come from PyYAML's event stream, which also serves to refuse
what would hurt: several documents, or nesting deep enough to break a recursive reader.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

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
        raise UnreadableTextError(_describe(error)) from None
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
        raise UnreadableTextError(_describe(error)) from None


def _locate(text: str) -> Document:
    # The pure parser: the ends of nodes are not the same in libyaml's events.
    builder = _Builder(len(text))
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        builder.take(event)
    root = builder.root
    if root is not None and root.kind == "scalar" and root.start == root.end:
        root = None
    return Document(root, builder.end)


class _Builder:
    """Nodes out of events, without recursion."""

    def __init__(self, end: int) -> None:
        self.root: Node | None = None
        self.end = end
        self._documents = 0
        self._open: list[Node] = []

    def take(self, event: Any) -> None:
        start, end = event.start_mark.index, event.end_mark.index
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise UnreadableTextError(f"{_line(event.start_mark)}a second document starts")
            case yaml.DocumentEndEvent():
                if event.explicit:
                    self.end = start
            case yaml.CollectionEndEvent():
                node = self._open.pop()
                exact = node.flow or not node.children
                node.end = end if exact else node.children[-1].end
            case yaml.NodeEvent():
                self._add(_node(event), event)

    def _add(self, node: Node, event: Any) -> None:
        if self._open:
            self._open[-1].children.append(node)
        else:
            self.root = node
        if node.kind in ("mapping", "sequence"):
            self._open.append(node)
            if len(self._open) > MAX_DEPTH:
                raise UnreadableTextError(f"{_line(event.start_mark)}nested too deeply")


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


def _describe(error: yaml.YAMLError) -> str:
    """What is wrong, without the words of the text: an alias or a tag may be an unquoted password."""
    if isinstance(error, yaml.MarkedYAMLError):
        problem = _QUOTED.sub(_only_harmless, error.problem or error.context or "not valid YAML")
        return _line(error.problem_mark or error.context_mark) + problem
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
