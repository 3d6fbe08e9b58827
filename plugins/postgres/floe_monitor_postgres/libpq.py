"""libpq's own ways with parameters, texts and settings, as far as psycopg does not have them."""

from __future__ import annotations

import ctypes
import re
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from psycopg import pq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Row = tuple[str | None, ...]
"""Of a result, as texts."""


def conninfo(parameters: Mapping[str, str]) -> bytes:
    """libpq's connection string."""

    def quoted(value: str) -> str:
        escaped = value.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"

    return " ".join(f"{key}={quoted(value)}" for key, value in parameters.items()).encode()


def one_line(text: str) -> str:
    """A text of libpq's, without what every one of them says of the connection."""
    # libpq's advice to the reader stands on lines of its own, behind a tab.
    lines = [line for line in text.splitlines() if not line.startswith("\t")]
    text = " ".join(" ".join(lines).split()) or "the connection was lost"
    return re.sub(r"^connection to server (?:at|on socket) .*? failed: ", "", text)


def defaults() -> dict[str, str]:
    """What libpq takes for each parameter that it is not given: from its variables, from the service that
    `PGSERVICE` names, or its own. Empty where that service cannot be read; a connection then says so."""
    try:
        options = pq.Conninfo.get_defaults()
    except MemoryError:  # psycopg's word for each failure of this call
        return {}
    return {each.keyword.decode(): each.val.decode() for each in options if each.val}


def role_in_options(options: str) -> str | None:
    """The role that `options` (or PGOPTIONS) has the server set for the session: `-c role=…`, `--role=…`."""
    words = [re.sub(r"\\(.)", r"\1", word) for word in re.findall(r"(?:\\.|[^\s\\])+", options)]
    joined = "\0".join(words).replace("-c\0", "-c")
    settings = [word[2:].partition("=") for word in joined.split("\0") if word.startswith(("-c", "--"))]
    roles = [value for name, given, value in settings if given and name.lower() == "role"]
    return roles[-1] if roles else None


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The very libpq that psycopg works with, for what it does not export; None where it cannot be found."""
    module = sys.modules.get(pq.PGconn.__module__)
    path = getattr(module, "__file__", None)
    if pq.__impl__ == "python":
        from psycopg.pq.misc import find_libpq_full_path  # noqa: PLC0415 - for this build of psycopg alone

        path = find_libpq_full_path()
    if path is None:
        return None
    try:
        # A lookup in the extension module finds the very libpq it is linked to.
        return ctypes.CDLL(path)
    except OSError:
        return None


@lru_cache(maxsize=1)
def verbosity_setter() -> Callable[[ctypes.c_void_p, int], int] | None:
    """libpq's `PQsetErrorVerbosity`.

    Without it a failed login carries no SQLSTATE, only a text in the server's language. None where libpq
    cannot be found: `LinkError` then tells what can be told without.
    """
    try:
        setter = library().PQsetErrorVerbosity  # type: ignore[union-attr]  # as below
    except AttributeError:
        return None
    setter.argtypes = [ctypes.c_void_p, ctypes.c_int]
    setter.restype = ctypes.c_int
    return setter
