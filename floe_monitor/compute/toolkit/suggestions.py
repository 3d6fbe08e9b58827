"""The nearest known word beside an unknown one, for messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 128
"""Characters of the unknown word that are compared: comparing is quadratic, the word untrusted input."""
MOST_SHOWN = 40
"""Of the known words: there may be a thousand targets."""


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The known word most like this one, if any is like it at all. Case does not matter."""
    by_folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word[:LONGEST].casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?`, or the known words where none is near."""
    words = sorted(known)
    return hint(nearest(word, words), words)


def hint(near: str | None, known: Iterable[str]) -> str:
    """The same where the nearest has been looked for already; the known words in the order given."""
    if near is not None:
        return f"did you mean {near!r}?"
    words = list(known)
    shown = ", ".join(words[:MOST_SHOWN]) + (" …" if len(words) > MOST_SHOWN else "")
    return f"known: {shown}" if words else ""


def with_hint(problem: str, near: str | None) -> str:
    """The problem, and what was meant if there is a nearest: `no target 'dve'; did you mean 'dev'?`."""
    return f"{problem}; {hint(near, ())}" if near is not None else problem
