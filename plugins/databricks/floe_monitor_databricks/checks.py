"""What dbt needs of a workspace: its login accepted, compute that runs or will, catalog, schema and rights.

Only the REST API is asked: a session of dbt's driver would start a warehouse that is stopped, and a statement
keeps one from stopping.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from floe_monitor.compute import (
    ComputeConnectionError,
    ComputeTimeoutError,
    ConnectionStatus,
    ErrorType,
)
from floe_monitor.compute.toolkit.connection_cache import HOLDS
from floe_monitor_databricks.compute_state import judge_cluster, judge_warehouse
from floe_monitor_databricks.config import HIVE_METASTORE
from floe_monitor_databricks.errors import ApiError, StatementError, limited, one_line
from floe_monitor_databricks.session import segment
from floe_monitor_databricks.unity import UnityCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from floe_monitor.compute import Check, Validation
    from floe_monitor_databricks.compute_state import Rest
    from floe_monitor_databricks.config import DatabricksConfig
    from floe_monitor_databricks.session import Session, Token

WAREHOUSES, CLUSTERS, STATEMENTS = (
    "/api/2.0/sql/warehouses",
    "/api/2.1/clusters/get",
    "/api/2.0/sql/statements",
)
_LEAST_WAIT, _MOST_WAIT = 5, 50
"""Seconds for which the statement API can be asked to wait for a result."""


def examine(
    config: DatabricksConfig,
    log_in: Callable[[Session], Token],
    validation: Validation,
    session: Session,
) -> None:
    _Examination(config, log_in, validation, session).run()


class _Examination:
    def __init__(
        self,
        config: DatabricksConfig,
        log_in: Callable[[Session], Token],
        validation: Validation,
        session: Session,
    ) -> None:
        self._config, self._log_in = config, log_in
        self._validation, self._session = validation, session

    def run(self) -> None:
        """Ends early where what follows could tell nothing more."""
        if self._logged_in() and self._has_compute():
            self._examine_catalog()

    def _logged_in(self) -> bool:
        if self._config.login != "token":
            with self._validation.check("token") as check, limited(check):
                if self._session.token is not None:
                    check.message = HOLDS
                else:
                    self._session.token = self._log_in(self._session)
            if check.status is not ConnectionStatus.HEALTHY:
                return False
        with self._validation.check("login") as check, limited(check):
            try:
                self._session.who_asks()
            except ApiError as error:
                # A token may be good for statements and not for this question.
                if error.status != 403 or error.is_of_the_token:
                    raise
                check.message = f"who asks is not shown: {error}"
        return check.status is ConnectionStatus.HEALTHY

    # ------------------------------------------------------------ compute

    def _has_compute(self) -> bool:
        """Whether there is reason to go on: compute that starts says nothing against the catalog."""
        kind = "cluster" if self._config.cluster_id is not None else "warehouse"
        rest: Rest | None = None
        answered = False
        with self._validation.check(kind) as check, limited(check):
            try:
                found = self._ask_compute()
            except ApiError as error:
                if not error.is_missing:
                    raise
                check.fail(f"there is no such {kind} in the workspace: {error}", ErrorType.CONFIGURATION)
            else:
                answered = True
                judge = judge_cluster if kind == "cluster" else judge_warehouse
                rest = judge(found, check)
        if rest is not None:
            self._report_rest(rest)
        elif answered and check.status is ConnectionStatus.HEALTHY and self._config.run_query:
            return self._run_query()
        return answered

    def _ask_compute(self) -> dict[str, Any]:
        cluster = self._config.cluster_id
        if cluster is not None:
            return self._session.get(f"{CLUSTERS}?cluster_id={segment(cluster)}", "the cluster's state")
        warehouse = segment(self._config.warehouse_id or "")
        return self._session.get(f"{WAREHOUSES}/{warehouse}", "the warehouse's state")

    def _report_rest(self, rest: Rest) -> None:
        longest = self._config.longest_wait
        with self._validation.check("asleep") as check:
            check.message = rest.message(longest)
            self._validation.conclude(check.message)
            if rest.stays:
                check.fail(
                    f"the {rest.what} is {rest.state} and stays so: {rest.stays}; dbt's statements fail "
                    "until it is started",
                    ErrorType.CONFIGURATION,
                )
            elif rest.trouble:
                check.degrade(
                    f"the {rest.what} is {rest.state}, and may not start when dbt uses it: {rest.trouble}",
                    ErrorType.CONNECTION,
                )
            elif shortfall := rest.shortfall(longest):
                check.warn(shortfall)

    def _run_query(self) -> bool:
        """Asked for by `run_query`, and of a warehouse that has just been seen running."""
        if self._config.warehouse_id is None:
            return True
        with self._validation.check("query") as check, limited(check):
            seconds = max(_LEAST_WAIT, min(_MOST_WAIT, int(self._session.deadline.remaining())))
            asked = {
                "warehouse_id": self._config.warehouse_id,
                "statement": "select 1",
                "wait_timeout": f"{seconds}s",
                "on_wait_timeout": "CANCEL",
            }
            found = self._session.post(
                f"{STATEMENTS}/", json.dumps(asked).encode(), "the answer to a statement"
            )
            _judge_statement(found, seconds, check)
        return check.status is ConnectionStatus.HEALTHY

    # ------------------------------------------------------------ Unity Catalog

    def _examine_catalog(self) -> None:
        catalog = self._config.catalog_name
        if catalog.lower() == HIVE_METASTORE:
            return  # it has no REST API: what is in it only a statement shows
        unity = UnityCatalog(self._session, catalog, self._config.schema_)
        for name, judge in (
            ("catalog", unity.judge_catalog),
            ("schema", unity.judge_schema),
            ("write", unity.judge_rights),
        ):
            with self._beyond_debug(name) as check:
                judge(check)
            if check.status is not ConnectionStatus.HEALTHY:
                return

    @contextmanager
    def _beyond_debug(self, name: str) -> Iterator[Check]:
        """What `dbt debug` does not look at: a refusal is DEGRADED, and only no answer is worse."""
        with (
            self._validation.check(
                name,
                on_failure=ConnectionStatus.DEGRADED,
                fatal=(ComputeConnectionError, ComputeTimeoutError),
            ) as check,
            limited(check),
        ):
            yield check


def _judge_statement(found: dict[str, Any], seconds: int, check: Check) -> None:
    status = found.get("status")
    status = status if isinstance(status, dict) else {}
    state = str(status.get("state") or "unknown")
    if state == "SUCCEEDED":
        return
    if state == "CANCELED":
        check.degrade(
            f"the warehouse is running, and has not run `select 1` within {seconds} s: others fill it",
            ErrorType.TIMEOUT,
        )
        return
    error = status.get("error")
    said = error.get("message") if isinstance(error, dict) else None
    raise StatementError(f"`select 1` ended in state {state}: {one_line(str(said or 'it does not say why'))}")
