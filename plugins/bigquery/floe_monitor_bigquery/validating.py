"""One validation: the way dbt goes to BigQuery, step by step, and what dbt needs once there."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import (
    ComputeError,
    ConnectionResult,
    ConnectionStatus,
    ErrorType,
    Failure,
    Validation,
    deadline,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS, PROVING_SHARE, CachedConnection
from floe_monitor_bigquery import login, sessions, wire
from floe_monitor_bigquery.api import Api
from floe_monitor_bigquery.config import SECRETS
from floe_monitor_bigquery.errors import TRANSIENT, AnsweredError, UnusableAnswerError, classify
from floe_monitor_bigquery.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check
    from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
    from floe_monitor.compute.toolkit.connection_cache import ConnectionCache
    from floe_monitor_bigquery.config import BigQueryConfig

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""
RUN_SHARE = 0.8
"""Share of the time left that BigQuery gets for a real query; the rest is for answer and cancellation."""
PROBE_TABLE = "floe_monitor_dry_run"
"""Named in a dry run alone: it never comes to be."""


def validate(
    config: BigQueryConfig, calls: BlockingCalls, keeper: ConnectionCache[Session]
) -> ConnectionResult:
    allowed = deadline.remaining()
    with wire.running(time.monotonic() + allowed - min(MARGIN, allowed * MARGIN), calls):
        return _Run(config, keeper).result()


class _Run:
    def __init__(self, config: BigQueryConfig, keeper: ConnectionCache[Session]) -> None:
        self._config = config
        self._keeper = keeper
        known = [config.secret(key) for key in SECRETS]
        self._secrets = {secret for secret in (*known, config.private_key) if secret}
        self._validation = Validation(self._classify)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            with validation.check("credentials"):
                content = login.stored(self._config)
                credentials = login.make(self._config, content)
            if self._config.connection_reuse:
                self._examine_keeping(credentials, sessions.key(self._config, content))
            else:
                session = Session()
                with contextlib.closing(session):
                    self._examine(session, credentials)
            message = f"dbt can work in dataset {self._config.dataset_name!r}"
        return validation.result(message)

    def _examine_keeping(self, credentials: Any, key: bytes) -> None:
        kept = self._keeper.take(key) or CachedConnection.new(Session(), self._config)
        session, token_before = kept.connection, kept.connection.credentials
        try:
            sound = self._examine(session, credentials)
        except BaseException:
            # After an UNHEALTHY verdict the next probe proves everything anew.
            session.close()
            raise
        if not sound:
            session.close()
            return
        if session.credentials is not token_before:
            kept = CachedConnection.new(session, self._config)
        self._keeper.keep(key, kept, self._config.connection_idle_seconds)

    def _examine(self, session: Session, credentials: Any) -> bool:
        """All checks after the first; whether the login passed whole, so that it may be kept."""
        validation = self._validation
        self._api = Api(self._config, session.transport)
        with validation.check("network") as check:
            accepted = self._reach(session, check)
        sound = True
        if accepted:
            self._note_kept_token(session)
        else:
            session.credentials, sound = self._log_in(credentials, session)
            self._api.headers = login.headers(session.credentials, self._config)
        with validation.check("query") as check:
            self._dry_run("SELECT 1 AS id", check)
        self._look_at_dataset()
        if self._config.query == "run":
            with validation.check("run") as check:
                self._run(check)
        return sound

    # ------------------------------------------------------------ getting there

    def _reach(self, session: Session, check: Check) -> bool:
        """Whether the API answers, and accepts a kept token; a kept connection that broke is replaced."""
        if session.credentials is None:
            self._api.reach()
            return False
        self._secrets.add(str(session.credentials.token))
        self._api.headers = login.headers(session.credentials, self._config)
        try:
            with wire.until(time.monotonic() + wire.left() * PROVING_SHARE):
                status = self._api.greet()
            check.message = HOLDS
        except (ComputeError, UnusableAnswerError):
            session.transport.renew()
            status = self._api.greet()
        if status != 401 and status < 500:
            return True
        # Other connections that were kept, to the token endpoint, have not been proved.
        session.transport.renew()
        return False

    def _note_kept_token(self, session: Session) -> None:
        """The same checks from one validation to the next: a series that comes and goes tells nothing."""
        steps = [
            *(["token"] if self._asks_for_token else []),
            *(["impersonation"] if self._impersonates else []),
        ]
        for step in steps:
            with self._validation.check(step) as check:
                check.message = (login.good_until(session.credentials) if step == steps[-1] else "") or HOLDS

    @property
    def _asks_for_token(self) -> bool:
        return not self._config.secret("token") or bool(self._config.secret("refresh_token"))

    @property
    def _impersonates(self) -> bool:
        return self._config.impersonate_service_account is not None

    def _log_in(self, credentials: Any, session: Session) -> tuple[Any, bool]:
        """Credentials with a token, and whether no step had a problem."""
        sound = True
        if self._asks_for_token:
            # With a token beside it, dbt works until that one expires.
            fixed = self._config.secret("token")
            worst = ConnectionStatus.DEGRADED if fixed else ConnectionStatus.UNHEALTHY
            with self._validation.check("token", on_failure=worst) as check:
                self._refresh(credentials, session)
            sound = check.status is ConnectionStatus.HEALTHY
        if self._impersonates:
            with self._validation.check("impersonation"):
                credentials = login.impersonating(credentials, self._config)
                self._refresh(credentials, session)
        return credentials, sound

    def _refresh(self, credentials: Any, session: Session) -> None:
        login.refresh(credentials, session.transport)
        self._secrets.add(str(credentials.token))

    # ------------------------------------------------------------ once there

    def _dry_run(self, statement: str, check: Check) -> None:
        try:
            self._api.dry_run(statement)
        except AnsweredError as error:
            if error.reason not in TRANSIENT:
                raise
            check.degrade(f"{error}; dbt tries again", classify(error).error_type)

    def _look_at_dataset(self) -> None:
        found = False
        with self._beyond_debug("dataset") as check:
            try:
                self._compare(self._api.dataset(), check)
                found = True
            except AnsweredError as error:
                if error.status != 404:
                    raise
                check.warn(f"dataset {self._config.dataset_name!r} is not there; dbt creates it")
        if check.status is not ConnectionStatus.HEALTHY:
            return
        with self._beyond_debug("write") as check:
            self._dry_run(self._creation(found), check)

    @contextlib.contextmanager
    def _beyond_debug(self, name: str) -> Iterator[Check]:
        """What `dbt debug` does not look at: a refusal is DEGRADED, and only no answer is worse."""
        with self._validation.check(name) as check:
            try:
                yield check
            except AnsweredError as error:
                if error.status not in {400, 403, 404}:
                    raise
                failure = self._classify(error)
                check.degrade(failure.message, failure.error_type)

    def _compare(self, dataset: dict[str, Any], check: Check) -> None:
        there, wanted = str(dataset.get("location", "")), self._config.location
        if wanted and there and there.casefold() != wanted.casefold():
            check.degrade(
                f"the dataset is in {there}, and location is {wanted}: dbt's jobs would not find it",
                ErrorType.CONFIGURATION,
            )

    def _creation(self, found: bool) -> str:
        name = f"{self._config.project_name}`.`{self._config.dataset_name}"
        if found:
            return f"CREATE TABLE IF NOT EXISTS `{name}`.`{PROBE_TABLE}` (id INT64)"
        return f"CREATE SCHEMA IF NOT EXISTS `{name}`"

    def _run(self, check: Check) -> None:
        answer = self._api.run("SELECT 1 AS id", wire.left() * RUN_SHARE)
        if answer.get("jobComplete"):
            return
        job = answer.get("jobReference")
        if isinstance(job, dict) and job.get("jobId"):
            with contextlib.suppress(AnsweredError, ComputeError):
                self._api.cancel(job)
        check.fail("the query did not end in time: no slots are free, or too few", ErrorType.TIMEOUT)

    def _classify(self, error: Exception) -> Failure:
        failure = classify(error)
        for secret in self._secrets:
            if len(secret) > 3 and secret in failure.message:
                failure = failure._replace(message=failure.message.replace(secret, "***"))
        return failure
