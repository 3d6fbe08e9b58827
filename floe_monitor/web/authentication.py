"""Credentials of requests, compared with what the configuration has of them: hashes alone.

A token is compared with every one there is, whichever it equals. A password's hash takes 150 ms of CPU by
design: one at a time, in a thread, for a few that wait; whoever has logged in once is known by a keyed hash
that costs nothing, kept in memory.
"""

from __future__ import annotations

import hmac
import logging
import os
import secrets
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.compute.toolkit.env_references import UnresolvedError
from floe_monitor.credentials.hashing import (
    MOST_PASSWORD,
    HashFormatError,
    PasswordHash,
    token_digest,
)
from floe_monitor.web.access import Identity

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from floe_monitor.settings.http_models import HttpSettings, UserSettings

log = logging.getLogger("floe_monitor.access")

MOST_WAITING = 8
"""Logins that wait for the thread; one more is asked to come again."""


class RefusedError(Exception):
    """The credential is not taken; the message tells its sender why, and repeats nothing of it."""


class BusyError(Exception):
    """Too many logins are under way."""


@dataclass(slots=True)
class _User:
    hash: PasswordHash
    proven: bytes = b""
    """Of the password that was right, keyed with what this process alone knows."""


class Authenticator:
    """For the event loop's thread only."""

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._environ, self._now = environ, now
        self._http: HttpSettings | None = None
        self._tokens: list[tuple[bytes, str]] = []
        self._users: dict[str, _User] = {}
        self._problems: dict[str, str] = {}
        self._key = secrets.token_bytes(32)
        self._one_at_a_time = anyio.CapacityLimiter(1)
        self._waiting = 0

    def apply(self, http: HttpSettings) -> None:
        """Users are known once `read_users` has read their hashes."""
        self._http = http
        self._tokens = [
            (bytes.fromhex(token.hash.removeprefix("sha256:")), name) for name, token in http.tokens.items()
        ]
        for name, token in http.tokens.items():
            if token.has_ended(self._now()):
                log.warning("token %r ended at %s and opens nothing", name, token.expires)

    async def read_users(self) -> None:
        """Read every password's hash again. One that cannot be read lets nobody in; the log says so once.

        `MonitorResourceError` where a file cannot be opened for want of descriptors: the former hold.
        """
        if self._http is None:
            return
        users = dict(self._http.users)
        found = await anyio.to_thread.run_sync(self._hashes, users, abandon_on_cancel=True)
        problems = {name: str(hash_) for name, hash_ in found.items() if isinstance(hash_, Exception)}
        for name, problem in problems.items():
            if self._problems.get(name) != problem:
                log.error("http.users.%s.password_hash: %s; nobody can log in so", name, problem)
        self._problems = problems
        former = self._users
        self._users = {
            name: former[name] if name in former and former[name].hash == hash_ else _User(hash_)
            for name, hash_ in found.items()
            if isinstance(hash_, PasswordHash)
        }

    def _hashes(self, users: Mapping[str, UserSettings]) -> dict[str, PasswordHash | Exception]:
        found: dict[str, PasswordHash | Exception] = {}
        for name, user in users.items():
            try:
                found[name] = PasswordHash.parse(user.password_hash.reference.read(self._environ))
            except (UnresolvedError, HashFormatError) as error:
                shortage = resource_error_in(error)
                if shortage is not None:
                    raise shortage from None
                found[name] = error
        return found

    def by_token(self, token: str) -> Identity:
        """Raises `RefusedError`."""
        digest = token_digest(token)
        equal = [name for known, name in self._tokens if hmac.compare_digest(known, digest)]
        settings = self._http.tokens.get(equal[0]) if equal and self._http is not None else None
        if settings is None:
            raise RefusedError("this token is not known here; `floe-monitor token NAME` makes one")
        if settings.has_ended(self._now()):
            raise RefusedError(
                f"the token {equal[0]!r} ended at {settings.expires}; "
                f"make a new one with `floe-monitor token {equal[0]}`"
            )
        return Identity(f"token {equal[0]}", frozenset(settings.scopes))

    def remembered(self, name: str, password: str) -> Identity | None:
        """The user who has proven this password before."""
        user = self._users.get(name)
        if user is None or not hmac.compare_digest(user.proven, self._keyed(name, password)):
            return None
        return self._user(name)

    async def by_password(self, name: str, password: str) -> Identity:
        """Raises `RefusedError`, `BusyError`, and `RuntimeError` where no thread can be started."""
        if self._waiting >= MOST_WAITING:
            raise BusyError
        user = self._users.get(name)
        # An unknown user takes as long as a wrong password.
        compared = user or next(iter(self._users.values()), None)
        if compared is None:
            raise RefusedError("user or password is wrong")
        self._waiting += 1
        try:
            right = await anyio.to_thread.run_sync(
                compared.hash.verify, password, limiter=self._one_at_a_time
            )
        finally:
            self._waiting -= 1
        # Meanwhile the configuration, and with it the hash, may have been replaced.
        if not right or user is None or self._users.get(name) is not user:
            raise RefusedError("user or password is wrong")
        user.proven = self._keyed(name, password)
        return self._user(name)

    def _user(self, name: str) -> Identity:
        settings = self._http.users.get(name) if self._http is not None else None
        if settings is None:
            raise RefusedError("user or password is wrong")
        return Identity(f"user {name}", frozenset(settings.scopes))

    def _keyed(self, name: str, password: str) -> bytes:
        return blake2b(f"{name}\0{password}".encode("utf-8", "surrogateescape"), key=self._key).digest()


def parse_basic(value: str) -> tuple[str, str]:
    """User and password of `Authorization: Basic`. Raises `RefusedError`."""
    try:
        user, colon, password = b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
    if not colon or len(password.encode()) > MOST_PASSWORD:
        raise RefusedError("this is not what Authorization: Basic has to be")
    return user, password
