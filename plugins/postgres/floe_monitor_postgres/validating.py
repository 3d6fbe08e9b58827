"""One validation: the way dbt goes to the server, step by step, and what dbt needs once there."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeError,
    ComputeTimeoutError,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS, KEPT_SHARE, Kept
from floe_monitor_postgres.errors import LinkError, SessionError, TimedOutError, classify
from floe_monitor_postgres.judging import CONTEXT_QUERY, judge_schema, judge_writing, read_context
from floe_monitor_postgres.profile import connection_parameters
from floe_monitor_postgres.wire import Session, Stage, conninfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import Asides
    from floe_monitor.compute.toolkit.connection_cache import Keeper
    from floe_monitor_postgres.config import PostgresConfig

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""

LOCK_SHARE = 0.8
"""Share of the time left after which the server ends the look at its catalog, to be heard itself."""


def validate(config: PostgresConfig, asides: Asides, keeper: Keeper[Session]) -> ConnectionResult:
    return _Run(config, asides, keeper).result()


class _Run:
    def __init__(self, config: PostgresConfig, asides: Asides, keeper: Keeper[Session]) -> None:
        self._config = config
        self._asides = asides
        self._keeper = keeper
        allowed = deadline.remaining()
        self._expires_at = time.monotonic() + allowed - min(MARGIN, allowed * MARGIN)
        self._files: list[str] = []
        self._validation = Validation(self._classify)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            parameters = self._parameters()
            if not (self._config.connection_reuse and self._with_kept(parameters)):
                self._examine(Kept.new(self._connect(parameters), self._config), parameters)
            message = f"dbt can work in schema {self._config.schema_!r}"
        return validation.result(message)

    # ------------------------------------------------------------ getting there

    def _parameters(self) -> dict[str, str]:
        if self._config.service is None:
            parameters = connection_parameters(self._config)
        else:
            with self._validation.check("service"):
                parameters = connection_parameters(self._config)
        names = (parameters.get(key) for key in ("sslrootcert", "sslcert", "sslkey"))
        self._files = [name for name in names if name and name != "system"]
        return parameters

    def _connect(self, parameters: dict[str, str]) -> Session:
        validation = self._validation
        with validation.check("network") as check:
            session = self._dial(parameters, check)
        try:
            if self._encrypts(session.parameters):
                with validation.check("tls"):
                    session.advance(Stage.LOGIN)
            with validation.check("login"):
                session.advance(Stage.DATABASE)
            with validation.check("database"):
                session.advance(Stage.OPEN)
        except BaseException:
            session.close()
            raise
        return session

    def _encrypts(self, parameters: Mapping[str, str]) -> bool:
        """Whether there is a TLS step: over a socket of the system's there is none."""
        return parameters.get("sslmode") != "disable" and not parameters["host"].startswith(("/", "@"))

    def _dial(self, parameters: dict[str, str], check: Check) -> Session:
        """TCP to the first address that answers, in the order and with the fall-backs dbt's driver has."""
        failed: list[ComputeError | SessionError] = []
        candidates = self._candidates(parameters, failed)
        for position, candidate in enumerate(candidates):
            left = self._expires_at - time.monotonic()
            share = left / (len(candidates) - position)
            session = None
            try:
                session = Session(candidate, time.monotonic() + share)
                session.advance(Stage.TLS)
            except SessionError as error:
                if session is not None:
                    session.close()
                failed.append(_of_address(error, candidate))
                continue
            session.expires_at = self._expires_at
            self._note(failed, check)
            return session
        if len(failed) == 1:
            raise failed[0]
        text = "; ".join(map(str, failed))
        timed_out = any(isinstance(error, TimedOutError | ComputeTimeoutError) for error in failed)
        raise (ComputeTimeoutError if timed_out else ComputeConnectionError)(text)

    def _candidates(
        self, parameters: dict[str, str], failed: list[ComputeError | SessionError]
    ) -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        for host in parameters["host"].split(","):
            if host.startswith(("/", "@")):
                found.append({**parameters, "host": host})
                continue
            try:
                addresses = self._asides.resolve(host, self._expires_at - time.monotonic())
            except ComputeError as error:
                failed.append(error)
                continue
            found += [{**parameters, "host": host, "hostaddr": address} for address in addresses]
        return found

    def _note(self, failed: list[ComputeError | SessionError], check: Check) -> None:
        for error in failed:
            if isinstance(error, TimedOutError | ComputeTimeoutError):
                check.degrade(f"{error}: dbt waits for it at every connection", ErrorType.CONNECTION)
            else:
                check.warn(str(error))

    # ------------------------------------------------------------ once there

    def _with_kept(self, parameters: dict[str, str]) -> bool:
        """Whether a kept connection served; False where there was none or it had broken."""
        kept = self._keeper.take(self._key(parameters))
        if kept is None:
            return False
        now = time.monotonic()
        kept.connection.expires_at = now + (self._expires_at - now) * KEPT_SHARE
        try:
            kept.connection.run("SELECT 1")
        except SessionError:
            kept.connection.close()
            return False
        kept.connection.expires_at = self._expires_at
        tls = ("tls",) if self._encrypts(parameters) else ()
        for name in ("network", *tls, "login", "database"):
            # The same checks from one validation to the next: a series that comes and goes tells nothing.
            with self._validation.check(name) as check:
                check.message = HOLDS
        self._examine(kept, parameters)
        return True

    def _examine(self, kept: Kept[Session], parameters: dict[str, str]) -> None:
        session = kept.connection
        try:
            self._use(session)
            if self._config.connection_reuse:
                session.run("ROLLBACK")
                self._keeper.keep(self._key(parameters), kept, self._config.connection_idle_seconds)
            else:
                session.close()
        except SessionError:
            # The verdict stands; a connection that cannot be put in order is not kept.
            session.close()
        except BaseException:
            session.close()
            raise

    def _use(self, session: Session) -> None:
        """All in one read-only transaction: nothing outlives it, behind a pooler neither."""
        left = int(max(0.0, self._expires_at - time.monotonic()) * 1000) + 1
        # A server that goes on waiting (for a lock on its catalog) ends the statement itself.
        # and where the network breaks between statements, it ends the session.
        limits = ("statement_timeout", "idle_in_transaction_session_timeout")
        begin = "; ".join(("BEGIN READ ONLY", *(f"SET LOCAL {limit} = {left}" for limit in limits)))
        if self._config.role is not None:
            with self._validation.check("role"):
                session.run(f"{begin}; SET LOCAL ROLE {self._config.role}")
            begin = ""
        with self._validation.check("query"):
            session.run(f"{begin}; SELECT 1 AS id")
        # A server that answers that it waits (for a lock on its catalog) is limited; a silent one has gone.
        with self._validation.check(
            "schema", on_failure=ConnectionStatus.DEGRADED, fatal=(LinkError, TimedOutError)
        ) as check:
            left = int(max(0.0, self._expires_at - time.monotonic()) * 1000 * LOCK_SHARE) + 1
            query = CONTEXT_QUERY.format(schema=session.literal(self._config.schema_))
            context = read_context(session.run(f"SET LOCAL statement_timeout = {left}; {query}"))
            judge_schema(self._config.schema_, context, check)
        if check.status is ConnectionStatus.HEALTHY:
            with self._validation.check("write") as check:
                judge_writing(context, check)

    def _key(self, parameters: dict[str, str]) -> bytes:
        # Every parameter counts, the password too: a rotated one is proved by a new connection.
        return hashlib.sha256(conninfo(parameters)).digest()

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error, self._files)
        password = self._config.password
        if password and password in failure.message:
            failure = failure._replace(message=failure.message.replace(password, "***"))
        return failure


def _of_address(error: SessionError, candidate: dict[str, str]) -> ComputeError | SessionError:
    address, port = candidate.get("hostaddr", candidate["host"]), candidate["port"]
    text = f"{address} port {port}: {error}"
    if isinstance(error, TimedOutError):
        return ComputeTimeoutError(text)
    return ComputeConnectionError(text) if isinstance(error, LinkError) else error
