"""One text seen several ways: without what interrupts a word, with escapes decoded, with letter case folded.

A secret is looked for in each view and masked in the text it came from, so a view keeps the way back. Making
one takes one pass, and there are at most `MOST_LEVELS` of them, whatever the text is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_LEVELS = 4
"""Times a text is decoded: what is percent-encoded twice inside a JSON text takes three."""

_ANSI = (
    r"\x1b\[[0-9;:<=>?]{0,64}+[ -/]{0,8}+[@-~]"  # colours, movements
    r"|\x1b\][^\x07\x1b]{0,512}+(?:\x07|\x1b\\)"  # titles, links
    r"|\x1b[ -/]{0,4}+[0-~]"
)
_UNSEEN = r"[\x00-\x1f\x7f\u00ad\u034f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
_C1 = r"\x9b[0-9;:<=>?]{0,64}+[ -/]{0,8}+[@-~]|\x9d[^\x07\x1b\x9c\x9d]{0,512}+[\x07\x9c]|[\x80-\x9f]"
NOISE = re.compile(f"{_ANSI}|{_C1}|{_UNSEEN}")
"""What a terminal acts upon or nobody sees, line breaks included."""
DECODED_NOISE = re.compile(f"{_ANSI}|{_UNSEEN}")
"""What `%9F` stands for is no control character but a byte of a letter."""
_ESCAPE = re.compile(
    r"(?:(?P<percent>%)(?:25)*|(?<!\\)\\++)"  # a text escaped twice has more backslashes, and %25 for %
    r"(?:(?-i:U)(?P<eight>000[0-9a-f]{5})"
    r"|u(?P<high>d[89ab][0-9a-f]{2})(?:%|\\++)u(?P<low>d[c-f][0-9a-f]{2})"
    r"|u(?P<four>[0-9a-f]{4})"
    r"|(?(percent)|x)(?P<two>[0-9a-f]{2})"
    r"|u\{(?P<braced>[0-9a-f]{1,6})\}"
    r"|(?(percent)(?!))(?:(?P<octal>[0-3][0-7]{2})|(?P<letter>[abefnrtv])|(?P<sign>[^\w\\])))"
    r"|&\#(?:x(?P<hex>[0-9a-f]{1,6})|(?P<number>[0-9]{1,7}));"
    r"|&(?P<name>amp|lt|gt|quot|apos|nbsp);",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_INTERRUPTION = re.compile(r"""[\\'"`]+""")
"""What quoting puts into a text: doubled or escaped quotes, and the shell's `'"'"'`."""
_SPACE = re.compile(r"\s+")
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NAMES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}


class Span(NamedTuple):
    """From `start` to before `end`."""

    start: int
    end: int


class View:
    """A text, and where in the original each part of it comes from."""

    __slots__ = ("_former", "_pattern", "_places", "_replace", "text")

    def __init__(
        self,
        text: str,
        former: View | None = None,
        pattern: re.Pattern[str] = NOISE,
        replace: Callable[[re.Match[str]], str] | str = "",
    ) -> None:
        self.text = text
        self._former, self._pattern, self._replace = former, pattern, replace
        self._places: tuple[list[Span], list[Span]] | None = None

    def replaced(self, pattern: re.Pattern[str], replace: Callable[[re.Match[str]], str] | str = "") -> View:
        """The view in which each match is replaced; this one where there is none."""
        text = pattern.sub(replace, self.text)
        return self if text == self.text else View(text, self, pattern, replace)

    def folded(self) -> View:
        """With letter case folded: character by character, so that places stay."""
        text = fold_case(self.text)
        if text == self.text:
            return self
        folded = View(text, self._former, self._pattern, self._replace)
        folded._places = self._places
        return folded

    def origin(self, span: Span) -> Span:
        """The part of the original text that a part of this one stands for."""
        if self._former is None:
            return span
        if self._places is None:
            self._places = self._find_places(self._former.text)
        here, there = self._places
        return self._former.origin(
            Span(_place(here, there, span.start).start, _place(here, there, span.end - 1).end)
        )

    def _find_places(self, former: str) -> tuple[list[Span], list[Span]]:
        here, there, shift = [], [], 0
        for match in self._pattern.finditer(former):
            length = len(self._replace) if isinstance(self._replace, str) else len(self._replace(match))
            start = match.start() - shift
            here.append(Span(start, start + length))
            there.append(Span(match.start(), match.end()))
            shift += match.end() - match.start() - length
        return here, there


def _place(here: list[Span], there: list[Span], position: int) -> Span:
    """Where the character at `position` comes from."""
    index = bisect_right(here, position, key=lambda span: span.end)
    if index < len(here) and here[index].start <= position:
        return there[index]
    shift = there[index - 1].end - here[index - 1].end if index else 0
    return Span(position + shift, position + shift + 1)


def levels(text: str) -> Iterator[View]:
    """The text without noise, then decoded once more each time, until nothing is left to decode."""
    view = View(text).replaced(NOISE) if not text.isprintable() else View(text)
    yield view
    for _ in range(MOST_LEVELS):
        former = view.text
        if "%" not in former and "\\" not in former and "&" not in former:
            return
        view = view.replaced(_ESCAPE, _decoded).replaced(DECODED_NOISE)
        if view.text == former:
            return
        yield view


def spaced(view: View) -> View:
    """Folded, without quotes and backslashes."""
    return view.replaced(_INTERRUPTION).folded()


def tight(view: View) -> View:
    """A spaced view without spaces besides: for what is long enough to be wrapped."""
    return view.replaced(_SPACE)


def fold_case(text: str) -> str:
    if text.isascii():
        return text.lower()
    return "".join(map(_fold_character, text))


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    for folded in (character.casefold(), character.lower()):
        if len(folded) == 1:
            return folded
    return character


def _decoded(match: re.Match[str]) -> str:
    kind, found = match.lastgroup, match[match.lastgroup or 0]
    if kind == "low":
        return chr(0x10000 + ((int(match["high"], 16) - 0xD800) << 10) + int(found, 16) - 0xDC00)
    if kind == "letter":
        return _LETTERS[found.lower()]
    if kind == "name":
        return _NAMES[found.lower()]
    if kind == "sign":
        return found
    code = int(found, {"number": 10, "octal": 8}.get(kind or "", 16))
    return chr(code) if code <= 0x10FFFF else match[0]
