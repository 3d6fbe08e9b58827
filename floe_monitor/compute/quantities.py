"""Kubernetes quantities: `500m`, `1.5Gi`, `2e3`, by the grammar of its API."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator

_QUANTITY = re.compile(r"\+?(\d+(?:\.\d*)?|\.\d+)(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,3}))?", re.ASCII)
_DECIMAL = {unit: Decimal(10) ** (3 * power) for power, unit in enumerate(("n", "u", "m", "", *"kMGTPE"), -3)}
_BINARY = {f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)}
_FACTORS = _DECIMAL | _BINARY


def parse_quantity(text: str) -> Decimal:
    """In cores or bytes. `ValueError` where Kubernetes refuses it as the resource of a pod: negative, too."""
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is no Kubernetes quantity: a number with a unit, as 500m, 2, 256Mi, 1.5Gi"
        )
    number, unit, exponent = match.groups()
    factor = Decimal(10) ** int(exponent) if exponent else _FACTORS[unit or ""]
    return Decimal(number) * factor


def _validated(text: str) -> str:
    parse_quantity(text)
    return text


Quantity = Annotated[str, AfterValidator(_validated)]
"""A text that Kubernetes takes for a quantity, as it was given."""
