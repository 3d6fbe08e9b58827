"""The known word that a misspelt one was probably meant to be."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST = 128
"""Characters compared: the time is quadratic in the length, and the word may come from anyone."""


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known word most like `word`, whatever the case of either; None where none is like it.

    `cutoff` is difflib's ratio, from 0 to 1, below which words are not alike.
    """
    by_folded = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(word[:_LONGEST].casefold(), by_folded, n=1, cutoff=cutoff)
    return by_folded[found[0]] if found else None
