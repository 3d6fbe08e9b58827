"""Replaces what differs between two runs of the same program, and nothing else.

Every rule names the place where its value stands: a number or a duration elsewhere is compared as it is.
"""

from __future__ import annotations

import re
from importlib import metadata

RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Times of day, in the API, the pages and the log.
        (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "<time>"),
        # Durations in the API: the keys that are measured; configured ones have other names.
        (r'("(?:last_)?(?:duration|started)_seconds": ?)\d[\d.e-]*', r"\1<seconds>"),
        # The same in the log, in its two forms.
        (r'("duration_ms": )\d[\d.e-]*', r"\1<ms>"),
        (r"( duration_ms=)\d[\d.e-]*", r"\1<ms>"),
        # Identifiers of one probe, in the API, the log and the pages.
        (r'("correlation_id": ?)"[0-9a-f]+"', r'\1"<id>"'),
        (r"( correlation_id=)[0-9a-f]+\b", r"\1<id>"),
        (r'(<td data-label="Correlation" class="muted nowrap">)[0-9a-f]+(</td>)', r"\1<id>\2"),
        # Latencies for people; in the table of `check` with the blanks that align them.
        (r"\b(healthy|degraded|unhealthy) +(?=\d+\.\d+ m?s  )", r"\1  "),
        (r"\bSTATUS +LATENCY\b", "STATUS  LATENCY"),
        (r"(?<![\w.])(?:\d+(?:\.\d)? ms|\d+\.\d\d s)\b", "<latency>"),
        # How long `wait` waited, and how long ago something was.
        (r"(\bup after )\d+\.\d s", r"\1<time> s"),
        (r"\b\d+ (?:s|min|h|d) ago\b", "<ago>"),
        # The same in the pages, and the version of what they load.
        (r'( data-now=")[\d.]+(?=")', r"\1<now>"),
        (r'(<time data-for datetime="[^"]*" title="[^"]*">)[^<]*(?=</time>)', r"\1<time>"),
        (r"\b[A-Z][a-z]{2} \d{1,2}, \d\d:\d\d UTC\b", "<moment>"),
        # Where the bar of a check begins and ends.
        (r'(<rect class="[a-z]+" x=")[\d.]+("[^>]* width=")[\d.]+(?=")', r"\1<x>\2<width>"),
        (r"(\bassets/[a-z-]+\.(?:css|js|svg)\?)[0-9a-f]{8}\b", r"\1<assets>"),
    )
)


class Normaliser:
    """The rules above, and the values that are known for one run alone: its directory, ports, versions."""

    def __init__(self, **known: str) -> None:
        versions = sorted({metadata.version(name) for name in _distributions()})
        self._rules = [
            *(
                (re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w])"), f"<{name}>")
                for name, value in known.items()
            ),
            *((re.compile(rf"(?<![\w.]){re.escape(value)}(?![\w.])"), "<version>") for value in versions),
            *RULES,
        ]

    def __call__(self, text: str) -> str:
        for pattern, replacement in self._rules:
            text = pattern.sub(replacement, text)
        return text


def _distributions() -> list[str]:
    """The project's own; a release changes their versions."""
    found = {distribution.name for distribution in metadata.distributions()}
    return sorted(name for name in found if name == "floe-monitor" or name.startswith("floe-monitor-"))
