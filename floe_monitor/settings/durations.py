"""Durations as people write them: `250ms`, `30s`, `5m`, `1h`, `1h30m`, or a number of seconds."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

LONGEST = 366 * 86_400.0
"""Beyond a year nobody means it, and clocks and drivers overflow somewhere."""

DAY = 86_400.0

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE = re.compile(rf"^(?:{_PART.pattern})+$")


def parse_duration(value: Any) -> float:
    """Seconds. `ValueError` says what was expected."""
    if isinstance(value, bool):
        raise ValueError("expected a duration such as 30s, 5m or a number of seconds")  # noqa: TRY004 - pydantic wants ValueError
    if isinstance(value, int | float):
        try:
            seconds = float(value)
        except OverflowError:
            seconds = math.inf
    elif isinstance(value, str):
        text = value.strip().lower()
        if _WHOLE.match(text):
            seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
        else:
            try:
                seconds = float(text)
            except ValueError:
                raise ValueError(
                    f"{value!r} is not a duration: write 250ms, 30s, 5m, 1h or a number of seconds"
                ) from None
    else:
        raise ValueError("expected a duration such as 30s, 5m or a number of seconds")  # noqa: TRY004 - as above
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError("is not a finite, non-negative duration")
    if seconds > LONGEST:
        raise ValueError("is longer than a year")
    return seconds


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$|^\d+(\.\d+)?$"},
            ]
        }
    ),
]
