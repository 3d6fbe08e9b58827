"""OAuth2 tokens of Iceberg catalogs: asked for as DuckDB asks, kept until shortly before they expire."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from floe_monitor.compute import ComputeError, ComputeTimeoutError, ErrorType
from floe_monitor_duckdb import bounded_http
from floe_monitor_duckdb.iceberg import DEFAULT_SCOPE

if TYPE_CHECKING:
    from floe_monitor.compute import Deadline
    from floe_monitor_duckdb.bounded_http import Trust
    from floe_monitor_duckdb.iceberg import Catalog

_KEPT = 256
_MARGIN = 30.0
"""Seconds before its expiry at which a token is no longer used; of a short life, a fifth of it."""
_UNSTATED = 60.0
"""How long a token is used whose life the server does not state."""


class TokenError(ComputeError):
    """No token: the credentials are refused, or what answers is no token endpoint."""

    error_type = ErrorType.AUTHENTICATION


class NoTokenEndpointError(ComputeError):
    """Something answers, but not with a token."""

    error_type = ErrorType.CATALOG


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: str | None = None
    usable_until: float = 0.0


@dataclass(frozen=True, slots=True)
class Token:
    value: str
    fresh: bool
    """Whether it was fetched just now."""


class TokenCache:
    """One token for each set of credentials, which it keeps as a digest only. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()

    def get(self, catalog: Catalog, deadline: Deadline, trust: Trust) -> Token:
        """A token with which requests may be made now. Raises a `ComputeError`."""
        entry = self._entry(catalog)
        if not entry.lock.acquire(timeout=max(0.0, deadline.remaining())):
            raise ComputeTimeoutError("another probe is still waiting for the token")
        try:
            if entry.token is not None and time.monotonic() < entry.usable_until:
                return Token(entry.token, fresh=False)
            entry.token = None
            asked = time.monotonic()
            token, life = fetch(catalog, deadline, trust)
            entry.token, entry.usable_until = token, asked + life - min(_MARGIN, life / 5)
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
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)
            return entry


def fetch(catalog: Catalog, deadline: Deadline, trust: Trust) -> tuple[str, float]:
    """A new token and how many seconds it lives; the request is DuckDB 1.5's own, byte for byte."""
    pair = f"{catalog.oauth['client_id']}:{catalog.oauth['client_secret']}"
    scope = quote(str(catalog.oauth.get("oauth2_scope") or DEFAULT_SCOPE), safe="")
    answer = bounded_http.exchange(
        "POST",
        catalog.token_uri,
        deadline=deadline,
        headers={
            **catalog.headers,
            "Authorization": "Basic " + base64.b64encode(pair.encode("utf-8", "surrogatepass")).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        },
        body=f"grant_type=client_credentials&scope={scope}".encode(),
        trust=trust,
    )
    site = bounded_http.site_of(catalog.token_uri)
    told = _json(answer.body)
    if answer.status in (400, 401, 403):
        reason = told.get("error")
        known = f" ({reason})" if isinstance(reason, str) and reason.replace("_", "").isalnum() else ""
        raise TokenError(f"the token endpoint at {site} refuses the credentials: {answer.status}{known}")
    if answer.status in bounded_http.REDIRECTS:
        raise NoTokenEndpointError(
            f"the token endpoint at {site} redirects ({answer.status}), which DuckDB does not follow"
        )
    token = told.get("access_token")
    if answer.status != 200 or not isinstance(token, str) or not token:
        raise NoTokenEndpointError(f"no token from {site}: it answers {answer.status}")
    if str(told.get("token_type", "bearer")).lower() != "bearer":
        raise NoTokenEndpointError(f"the token from {site} is of a type other than bearer")
    life = told.get("expires_in")
    if life is not None and (not isinstance(life, int) or isinstance(life, bool)):
        raise NoTokenEndpointError(
            f"the token from {site} states an expires_in that is no integer: DuckDB fails"
        )
    seconds = float(life) if life else _UNSTATED
    return token, min(seconds, 86400.0)


def expiry(token: str) -> float | None:
    """When a JWT says it expires, in seconds since the epoch; None for any other token."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return None
    found = claims.get("exp") if isinstance(claims, dict) else None
    return float(found) if isinstance(found, int | float) else None


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
