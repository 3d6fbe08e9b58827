"""SQL literals and identifiers, quoted so that DuckDB reads each as exactly what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS = """
all analyse analyze and any array as asc asymmetric both case cast check collate column constraint
create default deferrable desc describe distinct do else end except false fetch for foreign from group
having in initially intersect into lambda lateral leading limit not null offset on only or order pivot
pivot_longer pivot_wider placing primary qualify references returning select show some summarize
symmetric table then to trailing true union unique unpivot using variadic when where window with
"""
RESERVED = frozenset(_WORDS.split())
"""Words that dbt-duckdb, which quotes no alias, cannot write as one; DuckDB 1.5's `duckdb_keywords()`."""


def literal(value: object) -> str:
    """A string literal that DuckDB reads as exactly this text."""
    text = str(value)
    if "\0" in text:
        raise ComputeConfigurationError("a value for DuckDB holds a NUL character")
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A quoted identifier that DuckDB reads as exactly this name."""
    if not name or "\0" in name:
        raise ComputeConfigurationError("a name for DuckDB is empty or holds a NUL character")
    return '"' + name.replace('"', '""') + '"'


def value_sql(item: object) -> str:
    """A value of an option: truth values and numbers as such, lists and mappings by their items."""
    if isinstance(item, bool):
        return str(item).lower()
    if isinstance(item, int | float):
        return repr(item)
    if isinstance(item, list | tuple):
        return f"[{', '.join(map(literal, item))}]"
    if isinstance(item, dict):
        return "MAP {" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in item.items()) + "}"
    return literal(item)


def option_list(items: Mapping[str, object]) -> str:
    """`KEY value, KEY value`; each key must be a plain word."""
    for key in items:
        if not key.isidentifier() or not key.isascii():
            raise ComputeConfigurationError("an option's name for DuckDB is no plain word")
    return ", ".join(f"{key.upper()} {value_sql(item)}" for key, item in items.items())
