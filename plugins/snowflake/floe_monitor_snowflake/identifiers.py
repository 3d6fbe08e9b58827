"""Names and texts as Snowflake's SQL has them."""

from __future__ import annotations


def stored(name: str) -> str:
    """A name as Snowflake stores it: upper case, unless it is quoted."""
    if len(name) > 2 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.upper()


def quoted(name: str) -> str:
    """A stored name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def like(name: str) -> str:
    """A pattern for SHOW … LIKE that only this name fits, whatever its case."""
    escaped = name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return literal(escaped)
