"""What a path tells DuckDB: whether it is a file's, and the name of the database in it."""

from __future__ import annotations

import re

MEMORY = ":memory:"
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.\-]+:")
_TAKEN = frozenset({"main", "system", "temp"})


def database_name(path: str) -> str:
    """The name dbt-duckdb gives the database of this path: the file's name up to its first dot."""
    if path == MEMORY:
        return "memory"
    return path.split("?", 1)[0].rsplit("/", 1)[-1].lstrip(".").split(".", 1)[0]


def catalog_name(path: str) -> str:
    """The name DuckDB gives the database of this path: not one of those that it has for itself."""
    name = database_name(path)
    return f"{name}_db" if name.lower() in _TAKEN else name


def scheme_of(path: str) -> str:
    """`s3` of `s3://…`, `ducklake` of `ducklake:…`; empty for a file's path."""
    found = _SCHEME.match(path)
    return "" if found is None else found[0].removesuffix(":").lower()
