"""Scrubs secret values from texts, in every form in which drivers and encoders repeat them."""

from __future__ import annotations

import base64
import html
import json
import re
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MASK = "***"
SHORTEST_SECRET = 3
"""Shorter values are not scrubbed: masking every `a` would garble texts and reveal the value."""
SHORTEST_LINE = 16
MOST_LINES = 200
"""Of a value, to be scrubbed by themselves: more than key files have, fewer than would slow down a probe."""


class Redactor:
    """Replaces secret values in texts, in the forms in which drivers and encoders repeat them."""

    __slots__ = ("_forms",)

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._forms = tuple(sorted(forms, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        # The longest first. Each is looked for by itself: a pattern of all compares them at every character.
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def __getstate__(self) -> tuple[str, ...]:
        return self._forms

    def __setstate__(self, forms: tuple[str, ...]) -> None:
        self._forms = forms

    def __repr__(self) -> str:
        return f"Redactor(<{len(self._forms)} forms>)"


def _forms(value: str) -> Iterator[str]:
    whole = {value, value.strip()}
    # A driver quotes one line of a key file as readily as all of it.
    lines = (line.strip() for line in value.splitlines()[:MOST_LINES])
    whole |= {line for line in lines if len(line) >= SHORTEST_LINE}
    for text in whole:
        if len(text) < SHORTEST_SECRET:
            continue
        yield text
        yield text.replace("'", "''")
        yield html.escape(text)
        yield repr(text)[1:-1]
        yield ascii(text)[1:-1]
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        raw = text.encode("utf-8", "surrogateescape")
        for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
            yield quoted
            yield re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), quoted)
        yield from _base64_forms(raw)


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of the value shows inside any base64 text that contains it, whatever stands before and after."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        skip = (0, 2, 3)[before]
        loose_end = 0 if (before + len(raw)) % 3 == 0 else 1
        core = encoded[skip : len(encoded) - loose_end]
        if len(core) >= 6:
            yield core
            yield core.replace("+", "-").replace("/", "_")
