"""How a secret value may be written in a text, apart from escapes, which `views` decodes."""

from __future__ import annotations

import base64
import html
import json
import shlex
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from floe_monitor.compute.redaction.views import DECODED_NOISE, NOISE, View, fold_case, levels, spaced, tight

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST_SECRET = 3
"""Shorter values are not looked for: masking every `a` would garble texts and tell the value besides."""
SHORTEST_FOLDED = 6
"""Shorter values are looked for as they are written only: in any letter case they would blot words."""
SHORTEST_TIGHT = 16
"""Shorter values may not have spaces inside: two words of a sentence would make them up."""
SHORTEST_LINE = 16
MOST_LINES = 200
"""Of a value, to be looked for by themselves: more than key files have, fewer than would delay a probe."""
_SHORTEST_BASE64 = 6
_SHORTEST_HEX = 8
_DEEPEST_JSON = 20
_LONGEST_TWICE = 4096
"""Longer values are not looked for in a form that is encoded twice."""


class Forms(NamedTuple):
    """What to look for in which view of a text: as it is, folded with its spaces, folded without any."""

    exact: tuple[str, ...]
    spaced: tuple[str, ...]
    tight: tuple[str, ...]


def forms_of(values: Iterable[str]) -> Forms:
    """Each tuple has the longest first."""
    exact: set[str] = set()
    folded: set[str] = set()
    dense: set[str] = set()
    for value in values:
        for text in _parts(value):
            if len(text) < SHORTEST_SECRET:
                continue
            dense |= {tight(View(fold_case(form))).text for form in _encoded(text)}
            for form in _written(text):
                core = spaced(View(form)).text.strip()
                joined = tight(View(core)).text
                if len(joined) >= SHORTEST_TIGHT:
                    dense.add(joined)
                elif len(core) >= SHORTEST_FOLDED:
                    folded.add(core)
            if len(spaced(View(text)).text.strip()) < SHORTEST_FOLDED:
                exact |= _quoted(text)
    return Forms(*(tuple(sorted(found, key=len, reverse=True)) for found in (exact, folded, dense)))


def _parts(value: str) -> set[str]:
    """The whole, and what a driver quotes as readily: a line of a key file, a value within a JSON text."""
    parts = {value, value.strip()}
    if value.lstrip().startswith("{"):
        with suppress(ValueError, RecursionError):  # no JSON after all
            parts |= {item for item in _leaves(json.loads(value), 0) if len(item) >= SHORTEST_LINE}
    lines = [line.strip() for part in parts for line in part.splitlines()[:MOST_LINES]]
    return parts | {line for line in lines[: 2 * MOST_LINES] if len(line) >= SHORTEST_LINE}


def _leaves(value: Any, depth: int) -> Iterator[str]:
    """The secret ones of a key file: what is public in it (a name, an address) stays readable."""
    if isinstance(value, dict) and depth < _DEEPEST_JSON:
        for key, item in value.items():
            if isinstance(item, str) and ("key" in key or "secret" in key or "token" in key):
                if "://" not in item:
                    yield item
            else:
                yield from _leaves(item, depth + 1)


def _written(text: str) -> Iterator[str]:
    """As characters: as given, normalised, in letters of another case, as bytes read one by one."""
    variants = {text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))}
    variants |= {text.upper(), text.lower()} if not text.isascii() else set()
    variants |= {_bytes_of(variant).decode("latin-1") for variant in variants}
    # A view has the value's own `%41` decoded too, once anything beside it was encoded.
    variants |= {decoded.text for variant in variants for decoded in levels(variant)}
    for variant in variants:
        for seen in (NOISE.sub("", variant), DECODED_NOISE.sub("", variant), " ".join(variant.split())):
            yield seen
            if " " in seen:
                yield seen.replace(" ", "+")


def _encoded(text: str) -> Iterator[str]:
    """In base64 and hex, and encoded so twice."""
    raw = _bytes_of(text)
    once = [*_base64_forms(raw)]
    yield from once
    if 2 * len(raw) >= _SHORTEST_HEX:
        yield raw.hex()
        yield raw.hex(":")
        yield raw.hex("-")
    if len(raw) > _LONGEST_TWICE:
        return
    quoted = quote(raw, safe="")
    inner = [*once, raw.hex(), raw.hex().upper(), *([quoted] if quoted != text else [])]
    for each in inner:
        if len(each) >= _SHORTEST_BASE64:
            yield from _base64_forms(each.encode())
            yield each.encode().hex()


def _base64_forms(raw: bytes) -> Iterator[str]:
    """What of the value shows inside any base64 text that contains it, whatever stands before and after."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        skip = (0, 2, 3)[before]
        loose_end = 0 if (before + len(raw)) % 3 == 0 else 1
        core = encoded[skip : len(encoded) - loose_end]
        if len(core) >= _SHORTEST_BASE64:
            yield core
            if "+" in core or "/" in core:
                yield core.replace("+", "-").replace("/", "_")


def _quoted(text: str) -> set[str]:
    """A short value as it is and as quoting writes it, for an exact search."""
    return {
        text,
        text.replace("'", "''"),
        text.replace('"', '""'),
        html.escape(text),
        repr(text)[1:-1],
        ascii(text)[1:-1],
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        shlex.quote(text).strip("'"),
        _bytes_of(text).decode("latin-1"),
    }


def _bytes_of(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
