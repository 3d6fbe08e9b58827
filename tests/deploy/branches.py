"""Which branches of a chart's templates are never taken.

Into every branch goes a `fail` with its number. A rendering ends at the first it comes to; that one is taken
out and the values are rendered again, until they pass. What then still has its `fail` was never reached. An
`if` or `with` without an `else` gets one, so that both of its outcomes count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_ACTION = re.compile(
    r"\{\{-?\s*(?P<word>/\*|\w+)(?P<rest>(?:\"(?:\\.|[^\"\\])*\"|[^}\"]|\}(?!\}))*?)\}\}", re.DOTALL
)
_OPENING = {"if", "with", "range"}
_MARK = "branch %d is reached"
_SEEN = re.compile(r"branch (\d+) is reached")


class Branch(NamedTuple):
    """`position`: where its `fail` goes."""

    template: str
    position: int
    line: int
    word: str
    text: str


@dataclass(slots=True)
class _Block:
    """One that is open. `define` has no branches of its own."""

    word: str
    has_else: bool = False


def branches(templates: Iterable[Path]) -> list[Branch]:
    found = []
    for path in templates:
        source, stack = path.read_text(), []
        for action in _ACTION.finditer(source):
            word = action["word"]
            line = source.count("\n", 0, action.start()) + 1
            if word in _OPENING or word in {"define", "block"}:
                stack.append(_Block(word))
                if word in _OPENING:
                    found.append(Branch(path.name, action.end(), line, word, '{{ fail "%s" }}'))
            elif word == "else":
                stack[-1].has_else = not action["rest"].strip(" -")  # `else if` leaves another to come
                found.append(Branch(path.name, action.end(), line, "else", '{{ fail "%s" }}'))
            elif word == "end":
                block = stack.pop()
                if block.word in {"if", "with"} and not block.has_else:
                    text = '{{ else }}{{ fail "%s" }}'
                    found.append(Branch(path.name, action.start(), line, f"{block.word} without else", text))
    return found


def unreached(folder: Path, renderings: Iterable[Callable[[], str | None]]) -> list[Branch]:
    """Of the templates below `folder`, which is written to. A rendering gives its error, or None."""
    paths = {
        path.name: path for path in sorted(folder.rglob("*")) if path.suffix in {".yaml", ".tpl", ".txt"}
    }
    sources = {name: path.read_text() for name, path in paths.items()}
    left = dict(enumerate(branches(paths.values())))

    def write() -> None:
        for name, path in paths.items():
            text = sources[name]
            mine = [(number, each) for number, each in left.items() if each.template == name]
            for number, each in sorted(mine, key=lambda item: (item[1].position, item[0]), reverse=True):
                text = text[: each.position] + each.text % (_MARK % number) + text[each.position :]
            path.write_text(text)

    write()
    for rendering in renderings:
        while (error := rendering()) is not None:
            seen = _SEEN.search(error)
            if seen is None:
                break  # it is to fail
            del left[int(seen[1])]
            write()
    return list(left.values())
