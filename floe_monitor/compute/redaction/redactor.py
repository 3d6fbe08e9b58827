"""Replaces secret values in texts, in every form in which drivers, encoders and terminals repeat them."""

from __future__ import annotations

import sys
from bisect import bisect_left
from typing import TYPE_CHECKING

from floe_monitor.compute.redaction.forms import Forms, forms_of
from floe_monitor.compute.redaction.views import Span, View, levels, spaced, tight

if TYPE_CHECKING:
    from collections.abc import Iterable

MASK = "***"


class Redactor:
    """Replaces secret values in texts by `***`.

    Each form of a value is looked for by a plain search in each view of the text, so that the work is forms
    times text and nothing in either makes it more: no pattern is built from what is not ours.
    """

    __slots__ = ("_forms", "_shortest")

    def __init__(self, values: Iterable[str]) -> None:
        self.__setstate__(forms_of(values))

    def __call__(self, text: str) -> str:
        if len(text) < self._shortest:  # no view of a text is longer
            return text
        found: list[Span] = []
        for level in levels(text):
            with_spaces = spaced(level)
            found += _search(level, self._forms.exact)
            found += _search(with_spaces, self._forms.spaced)
            if self._forms.tight:
                found += _search(tight(with_spaces), self._forms.tight)
        return _masked(text, found) if found else text

    def __getstate__(self) -> Forms:
        return self._forms

    def __setstate__(self, forms: Forms) -> None:
        self._forms = forms
        lengths = [len(found[-1]) for found in forms if found]
        self._shortest = min(lengths, default=sys.maxsize)

    def __repr__(self) -> str:
        return f"Redactor(<{sum(map(len, self._forms))} forms>)"


def _search(view: View, forms: tuple[str, ...]) -> list[Span]:
    text = view.text
    first = bisect_left(forms, -len(text), key=_negative_length)
    found = []
    for form in [form for form in forms[first:] if form in text]:
        start = text.find(form)
        while start >= 0:
            end = start + len(form)
            found.append(view.origin(Span(start, end)))
            start = text.find(form, end)
    return found


def _negative_length(form: str) -> int:
    return -len(form)


def _masked(text: str, found: list[Span]) -> str:
    """Spans that overlap are one: half of a secret beside a mask would tell the other half's length."""
    pieces: list[str] = []
    done = 0
    for span in sorted(found):
        if span.start >= done:
            pieces += (text[done : span.start], MASK)
            done = span.end
        else:
            done = max(done, span.end)
    return "".join((*pieces, text[done:]))
