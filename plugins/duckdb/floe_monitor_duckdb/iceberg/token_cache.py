"""Tokens of Iceberg catalogs, kept until shortly before they expire."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floe_monitor.compute import ComputeTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.compute import Deadline
    from floe_monitor_duckdb.iceberg.catalog import Catalog

_MOST = 256
_EXPIRY_MARGIN = 30.0
"""Seconds before its expiry at which a token is no longer used; of a short life, a fifth of it."""


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = None
    usable_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    fresh: bool
    """Whether it was fetched just now."""


class TokenCache:
    """One token for each set of credentials, which it keeps as a digest only. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def get(self, catalog: Catalog, deadline: Deadline, fetch: Callable[[], tuple[str, float]]) -> Token:
        """A token with which requests may be made now; `fetch` gets a new one and the seconds it lives.

        Raises what `fetch` raises, and `ComputeTimeoutError` where another validation fetches it for so long.
        """
        entry = self._entry(catalog)
        if not entry.lock.acquire(timeout=deadline.remaining()):
            raise ComputeTimeoutError("another probe is still waiting for the token")
        try:
            if entry.token is not None and time.monotonic() < entry.usable_until:
                return Token(entry.token, fresh=False)
            entry.token = None
            asked = time.monotonic()
            token, life = fetch()
            entry.token, entry.usable_until = token, asked + life - min(_EXPIRY_MARGIN, life / 5)
            return Token(token, fresh=True)
        finally:
            entry.lock.release()

    def forget(self, catalog: Catalog, token: str) -> None:
        """Do not use this one again: the catalog refused it."""
        entry = self._entry(catalog)
        if entry.token == token:
            entry.usable_until = 0.0

    def _entry(self, catalog: Catalog) -> _Entry:
        parts = (catalog.token_uri, *(str(catalog.oauth.get(key, "")) for key in sorted(catalog.oauth)))
        key = hashlib.blake2b(json.dumps(parts).encode("utf-8", "surrogatepass")).digest()
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > _MOST:
                self._entries.popitem(last=False)
            return entry
