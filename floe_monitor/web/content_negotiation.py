"""The Accept and Accept-Encoding headers: which media type to answer with, and whether compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def preferred(accept: str | None, offers: Sequence[str]) -> str:
    """The offer the Accept header likes best; the first on a draw, without a header, or if it likes none."""
    ranges = list(_weighted(accept or "*/*"))

    def quality(offer: str) -> float:
        # The most specific range that fits decides, as RFC 9110 has it.
        fits = [(specific, q) for name, q in ranges if (specific := _fit(name, offer))]
        return max(fits, default=(0, 0.0))[1]

    return max(offers, key=quality)


def accepts_openmetrics(accept: str | None) -> bool:
    """Whether the Accept header names OpenMetrics and ranks it at least as high as plain text."""
    quality = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for name, q in _weighted(accept or ""):
        if name in quality:
            quality[name] = max(quality[name], q)
    openmetrics = quality["application/openmetrics-text"]
    return openmetrics > 0 and openmetrics >= quality["text/plain"]


def accepts_gzip(accept_encoding: str | None) -> bool:
    for name, q in _weighted(accept_encoding or ""):
        if name in ("gzip", "*"):
            return q > 0
    return False


def _fit(name: str, offer: str) -> int:
    if name == offer:
        return 3
    if name.endswith("/*") and offer.startswith(name[:-1]):
        return 2
    return 1 if name == "*/*" else 0


def _weighted(header: str) -> Iterator[tuple[str, float]]:
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        if name:
            yield name, quality
