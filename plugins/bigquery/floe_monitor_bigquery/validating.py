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
from floe_monitor_bigquery import login, wire
from floe_monitor_bigquery.api import Api
from floe_monitor_bigquery.config import SECRETS
from floe_monitor_bigquery.errors import TRANSIENT, AnsweredError, classify
from floe_monitor_bigquery.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check
    from floe_monitor_bigquery.config import BigQueryConfig

MARGIN = 0.05
"""Seconds, or share of the time if less, by which a validation ends early, to be heard in its own words."""
RUN_SHARE = 0.8
"""Share of the time left that BigQuery gets for a real query; the rest is for answer and cancellation."""
PROBE_TABLE = "floe_monitor_dry_run"
"""Named in a dry run alone: it never comes to be."""


def validate(config: BigQueryConfig) -> ConnectionResult:
    allowed = deadline.remaining()
    transport = Transport()
    try:
        with wire.until(time.monotonic() + allowed - min(MARGIN, allowed * MARGIN)):
            return _Run(config, transport).result()
    finally:
        transport.close()


class _Run:
    def __init__(self, config: BigQueryConfig, transport: Transport) -> None:
        self._config = config
        self._transport = transport
        self._api = Api(config, transport)
        known = [config.secret(key) for key in SECRETS]
        self._secrets = {secret for secret in (*known, config.private_key) if secret}
        self._validation = Validation(self._classify)

    def result(self) -> ConnectionResult:
        message = ""
        with self._validation as validation:
            with validation.check("credentials"):
                credentials = login.make(self._config)
            with validation.check("network"):
                self._api.reach()
            credentials = self._log_in(credentials)
            self._api.headers = login.headers(credentials, self._config)
            with validation.check("query") as check:
                self._dry_run("SELECT 1 AS id", check)
            self._look_at_dataset()
            if self._config.query == "run":
                with validation.check("run") as check:
                    self._run(check)
            message = f"dbt can work in dataset {self._config.dataset_name!r}"
        return validation.result(message)

    # ------------------------------------------------------------ getting there

    def _log_in(self, credentials: Any) -> Any:
        fixed = self._config.secret("token")
        if not fixed or self._config.secret("refresh_token"):
            # With a token beside it, dbt works until that one expires.
            worst = ConnectionStatus.DEGRADED if fixed else ConnectionStatus.UNHEALTHY
            with self._validation.check("token", on_failure=worst):
                self._refresh(credentials)
        if self._config.impersonate_service_account:
            with self._validation.check("impersonation"):
                credentials = login.impersonating(credentials, self._config)
                self._refresh(credentials)
        return credentials

    def _refresh(self, credentials: Any) -> None:
        login.refresh(credentials, self._transport)
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
