"""Badges as SVG: a label and what it says, in one small file without a font, style sheet or script."""

from __future__ import annotations

from html import escape

HEIGHT = 20
LONGEST = 64
"""Characters of either part."""
COLOURS = {
    "healthy": "#1c7c45",
    "degraded": "#96590a",
    "unhealthy": "#b3201d",
    "unknown": "#5b6673",
    "maintenance": "#34509f",
    "label": "#414a54",
}
"""White on each of them has a contrast of 4.5 at least."""
_NARROW, _WIDE = frozenset("ijlIft.,:;'|!()[] /-1"), frozenset("mwMW%@—…")
_PADDING = 6.0


def render_badge(label: str, message: str, colour: str) -> bytes:
    """`colour`: a key of `COLOURS`."""
    label, message = _cut(label), _cut(message)
    left, right = _width(label), _width(message)
    whole = left + right
    title = escape(f"{label}: {message}")
    size = f'width="{whole:g}" height="{HEIGHT}"'
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{title}">',
            f'<title>{title}</title><clipPath id="r"><rect {size} rx="4"/></clipPath><g clip-path="url(#r)">',
            f'<rect width="{left:g}" height="{HEIGHT}" fill="{COLOURS["label"]}"/>',
            f'<rect x="{left:g}" width="{right:g}" height="{HEIGHT}" fill="{COLOURS[colour]}"/></g>',
            '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11">',
            _text(label, _PADDING, left),
            _text(message, left + _PADDING, right),
            "</g></svg>",
        )
    ).encode("utf-8", "replace")


def _text(text: str, x: float, width: float) -> str:
    """Of the width that it was given room for, whatever font there is."""
    length = width - 2 * _PADDING
    return f'<text x="{x:g}" y="14" textLength="{length:g}">{escape(text, quote=False)}</text>'


def _cut(text: str) -> str:
    printable = "".join(character if character.isprintable() else "�" for character in text)
    return printable if len(printable) <= LONGEST else printable[: LONGEST - 1] + "…"


def _width(text: str) -> float:
    return round(sum(map(_advance, text)) + 2 * _PADDING)


def _advance(character: str) -> float:
    """About as wide as the usual fonts draw it."""
    if character in _NARROW:
        return 4.5
    return 10.5 if character in _WIDE or ord(character) > 0x2FFF else 7.2
