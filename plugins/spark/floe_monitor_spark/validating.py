"""One validation: to Spark the way dbt goes, or over a kept session, and what dbt needs once there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from floe_monitor.compute import ConnectionResult, ConnectionStatus, Failure, Validation, deadline
from floe_monitor.compute.toolkit.connection_cache import HOLDS, PROVING_SHARE, CachedConnection
from floe_monitor_spark.errors import (
    LinkError,
    ServerError,
    SparkError,
    StrangeError,
    TimedOutError,
    classify,
)
from floe_monitor_spark.keeping import key_of
from floe_monitor_spark.reaching import Journey, Route, held_checks, user_of

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.connection_cache import ConnectionCache
    from floe_monitor_spark.config import SparkConfig
    from floe_monitor_spark.keeping import Channel
    from floe_monitor_spark.session import Session

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""
PROBE_NAME = "floe_monitor_probe"


def validate(config: SparkConfig, calls: BlockingCalls, keeper: ConnectionCache[Channel]) -> ConnectionResult:
    return _Run(config, calls, keeper).result()


class _Run:
    def __init__(self, config: SparkConfig, calls: BlockingCalls, keeper: ConnectionCache[Channel]) -> None:
        self._config = config
        self._calls = calls
        self._keeper = keeper
        allowed = deadline.remaining()
        self._expires_at = time.monotonic() + allowed - min(MARGIN, allowed * MARGIN)
        self._validation = Validation(self._classify)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            route = Route.of(self._config)
            proxy = None if route.proxy is None else route.proxy.geturl()
            key = key_of(self._config, user_of(self._config), proxy)
            kept = (self._kept(key) if self._config.connection_reuse else None) or self._new(route)
            if kept is None:
                return validation.result()
            try:
                self._use(kept.connection.session)
            except BaseException:
                kept.connection.session.end()
                raise
            self._let_go(key, kept)
            message = f"dbt can work in schema {self._config.schema_!r}"
        return validation.result(message)

    # ------------------------------------------------------------ getting there

    def _kept(self, key: bytes) -> CachedConnection[Channel] | None:
        """A kept session that has proved itself; None where there was none or it had broken."""
        kept = self._keeper.take(key)
        if kept is None:
            return None
        channel = kept.connection
        now = time.monotonic()
        try:
            if not channel.prove(now + (self._expires_at - now) * PROVING_SHARE):
                channel.session.drop()
                return None
        except SparkError:
            self._keeper.discard(channel)
            return None
        channel.session.give_until(self._expires_at)
        for name in held_checks(self._config):
            # The same checks from one validation to the next: a series that comes and goes tells nothing.
            with self._validation.check(name) as check:
                check.message = HOLDS
        if channel.state is not None:
            with self._validation.check("cluster") as check:
                channel.state.report(check)
        with self._validation.check("session") as check:
            check.message = HOLDS
        return kept

    def _new(self, route: Route) -> CachedConnection[Channel] | None:
        """None for a cluster that a probe would have to wake."""
        journey = Journey(self._config, route, self._calls, self._validation, self._expires_at)
        channel = journey.channel()
        if channel is None:
            return None
        kept = CachedConnection.new(channel, self._config)
        try:
            with self._validation.check("session"):
                channel.session.open(user_of(self._config), self._config.session_parameters)
        except BaseException:
            channel.session.end()
            raise
        return kept

    def _let_go(self, key: bytes, kept: CachedConnection[Channel]) -> None:
        if self._config.connection_reuse and kept.connection.usable:
            self._keeper.keep(key, kept, self._config.connection_idle_seconds)
        else:
            kept.connection.session.end()

    # ------------------------------------------------------------ once there

    def _use(self, session: Session) -> None:
        with self._validation.check("query"):
            if session.run("select 1 as id") != [[1]]:
                raise StrangeError("`select 1` brought something else than 1")
        with self._limitation("schema") as check:
            exists = self._look_for_schema(session, check)
        if check.status is ConnectionStatus.HEALTHY:
            with self._limitation("create"):
                self._plan_creation(session, exists=exists)

    def _limitation(self, name: str) -> AbstractContextManager[Check]:
        """A check of what `dbt debug` does without. A server that says that it is not ready is limited; a
        silent one has gone."""
        return self._validation.check(
            name, on_failure=ConnectionStatus.DEGRADED, fatal=(LinkError, TimedOutError)
        )

    def _look_for_schema(self, session: Session, check: Check) -> bool:
        """Whether it exists; dbt writes its name into statements as it stands, and so do we."""
        schema = self._config.schema_
        try:
            session.run(f"DESCRIBE SCHEMA {schema}")
        except ServerError as error:
            if error.condition != "SCHEMA_NOT_FOUND" and "NoSuchDatabaseException" not in error.java_classes:
                raise
            check.warn(f"schema {schema!r} does not exist yet; dbt will create it")
            return False
        return True

    def _plan_creation(self, session: Session, *, exists: bool) -> None:
        """Let Spark plan what dbt will execute: authorization plugins act on plans. Nothing is created."""
        schema = self._config.schema_
        if exists:
            session.run(f"EXPLAIN CREATE OR REPLACE VIEW {schema}.{PROBE_NAME} AS SELECT 1 AS id")
        else:
            session.run(f"EXPLAIN CREATE SCHEMA IF NOT EXISTS {schema}")

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for key in ("password", "token"):
            secret = self._config.secret(key)
            if secret and secret in failure.message:
                failure = failure._replace(message=failure.message.replace(secret, "***"))
        return failure
