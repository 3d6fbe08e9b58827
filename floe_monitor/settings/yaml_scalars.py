"""What a plain (unquoted) text of YAML stands for: as PyYAML's safe loader has it, dates apart."""

from __future__ import annotations

import re
from typing import Any

_KEYWORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **{form: word in ("yes", "true", "on") for word in ("yes", "no", "true", "false", "on", "off")
       for form in (word, word.capitalize(), word.upper())},
}  # fmt: skip
_INT = re.compile(r"[-+]?(?:0b[01_]+|0[0-7_]*|[1-9][0-9_]*|0x[0-9a-fA-F_]+)")
_FLOAT = re.compile(
    r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.(?:inf|Inf|INF))"
    r"|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|\.(?:nan|NaN|NAN)"
)
_NUMERIC_START = frozenset("+-.0123456789")
_LONGEST_INT = 40


def scalar(text: str) -> Any:
    """What a plain (unquoted) text stands for."""
    if text in _KEYWORDS:
        return _KEYWORDS[text]
    if text[0] not in _NUMERIC_START:
        return text
    if _INT.fullmatch(text) and len(text) <= _LONGEST_INT:
        return _integer(text.replace("_", ""))
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def _integer(text: str) -> int | str:
    digits = text.lstrip("+-")
    sign = -1 if text.startswith("-") else 1
    try:
        if digits.startswith(("0b", "0x")):
            return sign * int(digits, 0)
        return sign * int(digits, 8 if digits.startswith("0") else 10)
    except ValueError:  # a prefix alone, `0x_`
        return text
