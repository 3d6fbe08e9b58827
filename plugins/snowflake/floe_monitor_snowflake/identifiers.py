"""Names and texts as Snowflake's SQL has them."""

from __future__ import annotations

import re

LONGEST_NAME = 255
_UNQUOTED = re.compile(r"[^\W\d][\w$]*")


def stored(name: str) -> str:
    """A name as Snowflake stores it: upper case, unless it is quoted."""
    if len(name) > 2 and name.startswith('"') and name.endswith('"'):
        return name[1:-1].replace('""', '"')
    return name.upper()


def why_unusable(name: str) -> str | None:
    """Why dbt, which writes a name as it stands unless the project asks for quotes, can make none of it."""
    if len(stored(name)) > LONGEST_NAME:
        return f"a name has {LONGEST_NAME} characters at most"
    if stored(name) == name.upper() and not _UNQUOTED.fullmatch(name):
        return f"dbt writes it without quotes, which it needs: configure '\"{name}\"'"
    return None


def quoted(name: str) -> str:
    """A stored name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def like(name: str) -> str:
    """A pattern for SHOW … LIKE that only this name fits, whatever its case."""
    escaped = name.replace("\\", "\\\\").replace("_", "\\_").replace("%", "\\%")
    return literal(escaped)
