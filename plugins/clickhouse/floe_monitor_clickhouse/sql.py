"""Names and texts in statements."""

from __future__ import annotations


def identifier(name: str) -> str:
    """As dbt-clickhouse quotes it: a name that is quoted already stands as it is."""
    if len(name) > 1 and name[0] in '`"' and name[-1] == name[0]:
        return name
    return f"`{_escaped(name)}`"


def literal(text: str) -> str:
    return f"'{_escaped(text)}'"


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "\\'`" else each for each in text)
