"""One validation: the way to the account and the login, or a kept session, and what dbt needs there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeError,
    ConnectionResult,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS, PROVING_SHARE, CachedConnection
from floe_monitor_snowflake.errors import ROLE_NUMBERS, classify, told
from floe_monitor_snowflake.examining import examine
from floe_monitor_snowflake.keypair import private_key
from floe_monitor_snowflake.reaching import Way, dial, shake_hands
from floe_monitor_snowflake.session import Session, fingerprint

if TYPE_CHECKING:
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.connection_cache import ConnectionCache
    from floe_monitor_snowflake.bounding import Bounded, Line
    from floe_monitor_snowflake.config import SnowflakeConfig

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""


def validate(
    config: SnowflakeConfig, calls: BlockingCalls, bounded: Bounded, keeper: ConnectionCache[Session]
) -> ConnectionResult:
    return _Run(config, calls, bounded, keeper).result()


class _Run:
    def __init__(
        self,
        config: SnowflakeConfig,
        calls: BlockingCalls,
        bounded: Bounded,
        keeper: ConnectionCache[Session],
    ) -> None:
        self._config = config
        self._calls = calls
        self._bounded = bounded
        self._keeper = keeper
        self._allowed = deadline.remaining()
        self._expires_at = time.monotonic() + self._allowed - min(MARGIN, self._allowed * MARGIN)
        self._validation = Validation(self._classify)
        self._way = Way(config)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation:
            if self._config.lacks is not None:
                with self._validation.check("login") as check:
                    check.fail(self._config.lacks, ErrorType.CONFIGURATION)
            key = self._key()
            identity = fingerprint(self._config, key, self._allowed, self._way.address)
            if not (self._config.connection_reuse and self._with_kept(identity)):
                self._reach()
                self._use(CachedConnection.new(self._login(key), self._config), identity)
            message = f"dbt can work in schema {self._config.schema_!r} of database {self._config.database!r}"
        return self._validation.result(message)

    # ------------------------------------------------------------ getting there

    def _key(self) -> bytes | None:
        if self._config.private_key_path is None and "private_key" not in self._config.credentials:
            return None
        with self._validation.check("key"):
            return private_key(self._config, self._calls, self._left())
        return None

    def _reach(self) -> None:
        way = self._way
        with self._validation.check("network") as check:
            addresses = self._calls.resolve(way.host, self._left())
            connection = dial(way, addresses, self._expires_at)
            if way.proxied:
                check.message = f"by the proxy {way.host} port {way.port}"
        with connection:
            if self._has_tls_check:
                with self._validation.check("tls"):
                    shake_hands(connection, way.host, self._expires_at)

    @property
    def _has_tls_check(self) -> bool:
        """Through a proxy TLS comes after the driver's own words to it: that is part of the login then."""
        return self._config.encrypts and not self._way.proxied

    def _login(self, key: bytes | None) -> Session:
        session: Session | Exception
        with self._validation.check("login"):
            line = self._line(self._expires_at)
            try:
                session = Session.open(self._config, key, self._allowed, line)
            except Exception as error:
                # Snowflake looks at the role once the credentials have passed.
                if told(error).number not in ROLE_NUMBERS:
                    raise
                session = error
        if isinstance(session, Exception):
            with self._validation.check("role"):
                raise session
        return session

    def _with_kept(self, identity: bytes) -> bool:
        """Whether a kept session served; False where there was none or it had ended."""
        kept = self._keeper.take(identity)
        if kept is None:
            return False
        session = kept.connection
        try:
            line = self._line(time.monotonic() + self._left() * PROVING_SHARE)
        except ComputeError:
            self._keeper.discard(session)
            return False
        if not session.resume(line):
            session.end(waiting=False)
            return False
        line.expires_at = self._expires_at
        tls = ("tls",) if self._has_tls_check else ()
        for name in ("network", *tls, "login"):
            # The same checks from one validation to the next: a series that comes and goes tells nothing.
            with self._validation.check(name) as check:
                check.message = HOLDS
        self._use(kept, identity)
        return True

    # ------------------------------------------------------------ once there

    def _use(self, kept: CachedConnection[Session], identity: bytes) -> None:
        session = kept.connection
        rests = False
        try:
            examine(self._config, session, self._validation)
            rests = self._config.connection_reuse and session.rest()
        finally:
            if rests:
                self._keeper.keep(identity, kept, self._config.connection_idle_seconds)
            else:
                session.end()

    def _line(self, expires_at: float) -> Line:
        return self._bounded.line("snowflake-session", expires_at)

    def _left(self) -> float:
        return self._expires_at - time.monotonic()

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for secret in self._config.credentials.values():
            value = secret.get_secret_value()
            if value and value in failure.message:
                failure = failure._replace(message=failure.message.replace(value, "***"))
        return failure
