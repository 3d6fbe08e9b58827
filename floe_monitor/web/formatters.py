"""Numbers and times as people read them on the pages. `assets/page.js` writes ages the same way."""

from __future__ import annotations

import math

_UNITS = ((1, "s", 120), (60, "min", 7_200), (3_600, "h", 172_800))


def milliseconds(seconds: float | None) -> str:
    """A duration as read at a glance: `0.4 ms`, `12 ms`, `1.25 s`."""
    if seconds is None:
        return "–"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms"


def span(seconds: float) -> str:
    """In one unit: `3 s`, `17 min`, `6 h`, `5 d`."""
    for size, unit, until in _UNITS:
        if seconds < until:
            return f"{max(0.0, seconds) / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def ago(at: float | None, now: float) -> str:
    return f"{span(now - at)} ago" if at else "never"


def percent(share: float | None) -> str:
    """Rounded down, so that 100 % means all of it: `100 %`, `99.98 %`, `97.3 %`."""
    if share is None:
        return "–"
    if share >= 1:
        return "100 %"
    digits = 2 if share >= 0.99 else 1
    scale = 10**digits
    return f"{math.floor(share * 100 * scale + 1e-9) / scale:.{digits}f} %"


def thousands(number: int) -> str:
    return f"{number:,}"


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def sentence(text: str) -> str:
    """With a capital, and a full stop where there is none."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
