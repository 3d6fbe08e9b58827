"""What dbt needs once the API accepts it: jobs, the dataset, the right to build there."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import ComputeConnectionError, ComputeTimeoutError, ConnectionStatus, ErrorType
from floe_monitor_bigquery.errors import TRANSIENT, AnsweredError, UnusableAnswerError, classify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_monitor.compute import Check, Deadline, Validation
    from floe_monitor_bigquery.api import Api
    from floe_monitor_bigquery.config import BigQueryConfig

RUN_SHARE = 0.8
"""Share of the time left that BigQuery gets for a real query; the rest is for answer and cancellation."""
PROBE_TABLE = "floe_monitor_dry_run"
"""Named in a dry run alone: it never comes to be."""

_DATASET = re.compile(r"\w{1,1024}")


def examine(config: BigQueryConfig, validation: Validation, api: Api, deadline: Deadline) -> None:
    with validation.check("query") as check:
        _dry_run(api, "SELECT 1 AS id", check)
    _examine_dataset(config, validation, api)
    if config.query == "run":
        with validation.check("run") as check:
            _run(api, deadline, check)


def _dry_run(api: Api, statement: str, check: Check) -> None:
    try:
        api.dry_run(statement)
    except AnsweredError as error:
        if error.reason not in TRANSIENT:
            raise
        check.degrade(f"{error}; dbt tries again", classify(error).error_type)


def _examine_dataset(config: BigQueryConfig, validation: Validation, api: Api) -> None:
    found = False
    with _beyond_debug(validation, "dataset") as check:
        try:
            _judge_location(api.dataset(), config.location, check)
            found = True
        except AnsweredError as error:
            if error.status != 404:
                raise
            if not _DATASET.fullmatch(config.dataset_name):
                check.degrade(
                    f"dataset {config.dataset_name!r} is not there, and BigQuery makes none of that name: it "
                    "takes letters, digits and underscores alone",
                    ErrorType.CONFIGURATION,
                )
            else:
                check.warn(f"dataset {config.dataset_name!r} is not there; dbt creates it")
    if check.status is not ConnectionStatus.HEALTHY:
        return
    with _beyond_debug(validation, "write") as check:
        _dry_run(api, _creation(config, found=found), check)


@contextmanager
def _beyond_debug(validation: Validation, name: str) -> Iterator[Check]:
    """What `dbt debug` does not look at: a refusal is DEGRADED, and only no answer is worse."""
    with validation.check(name) as check:
        try:
            yield check
        except AnsweredError as error:
            if error.status not in {400, 403, 404}:
                raise
            failure = classify(error)
            check.degrade(failure.message, failure.error_type)


def _judge_location(dataset: dict[str, Any], wanted: str | None, check: Check) -> None:
    there = str(dataset.get("location", ""))
    if wanted and there and there.casefold() != wanted.casefold():
        check.degrade(
            f"the dataset is in {there}, and location is {wanted}: dbt's jobs would not find it",
            ErrorType.CONFIGURATION,
        )


def _creation(config: BigQueryConfig, *, found: bool) -> str:
    name = f"{config.project_name}`.`{config.dataset_name}"
    if found:
        return f"CREATE TABLE IF NOT EXISTS `{name}`.`{PROBE_TABLE}` (id INT64)"
    return f"CREATE SCHEMA IF NOT EXISTS `{name}`"


def _run(api: Api, deadline: Deadline, check: Check) -> None:
    answer = api.run("SELECT 1 AS id", deadline.remaining() * RUN_SHARE)
    if answer.get("jobComplete"):
        return
    job = answer.get("jobReference")
    if isinstance(job, dict) and job.get("jobId"):
        with suppress(AnsweredError, UnusableAnswerError, ComputeConnectionError, ComputeTimeoutError):
            api.cancel(job)
    check.fail("the query did not end in time: no slots are free, or too few", ErrorType.TIMEOUT)
