"""What psycopg does not give of libpq."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import TYPE_CHECKING

from psycopg import pq

if TYPE_CHECKING:
    from collections.abc import Callable


@lru_cache(maxsize=1)
def verbosity_setter() -> Callable[[ctypes.c_void_p, int], int] | None:
    """libpq's `PQsetErrorVerbosity`, which psycopg does not export.

    Without it a failed login carries no SQLSTATE, only a text in the server's language. None where libpq
    cannot be found: `LinkError` then tells what can be told without.
    """
    module = sys.modules.get(pq.PGconn.__module__)
    path = getattr(module, "__file__", None)
    if pq.__impl__ == "python":
        from psycopg.pq.misc import find_libpq_full_path  # noqa: PLC0415 - for this build of psycopg alone

        path = find_libpq_full_path()
    try:
        # A lookup in the extension module finds the very libpq it is linked to.
        setter = ctypes.CDLL(path).PQsetErrorVerbosity
    except (OSError, AttributeError, TypeError):
        return None
    setter.argtypes = [ctypes.c_void_p, ctypes.c_int]
    setter.restype = ctypes.c_int
    return setter
