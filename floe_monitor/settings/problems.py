"""What is wrong with a configuration, and where: one line a person can act on."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_monitor.credentials.references import dotted

if TYPE_CHECKING:
    from collections.abc import Iterable

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands. Lines and columns count from 1; 0 where only the file is known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault. Its text never repeats a value: any value may be a secret in the wrong place."""

    place: Place
    message: str
    path: KeyPath = ()
    hint: str = ""

    @property
    def file(self) -> str:
        return self.place.file

    @property
    def line(self) -> int:
        return self.place.line

    @property
    def column(self) -> int:
        return self.place.column

    def __str__(self) -> str:
        where = dotted(self.path)
        text = f"{where}: {self.message}" if where else self.message
        return f"{self.place}: {text}" + (f"; {self.hint}" if self.hint else "")


class ConfigurationError(Exception):
    """The configuration cannot be used. `problems` holds everything found, file by file and down each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda each: (each.file, each.line, each.column)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like this one, if any is like it at all."""
    by_folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the known words where none is near."""
    words = sorted(known)
    near = nearest(word, words)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"known: {', '.join(words)}" if words else ""
