"""What counts as agreement with dbt, and that no engine's table shrinks unnoticed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from conformance import engines, report
from conformance.verdicts import Row

OWNED = "must be owner of table orders"
TOLD = ("1 relation in schema 's' of other owners (orders of x)",)


def row(status: str, *, dbt: bool, reason: str = "", **more: Any) -> Row:
    given = {"message": "a reason", "error_type": "connection", "warnings": (), **more}
    return Row("a case", status, dbt_passed=dbt, dbt_reason=reason, **given)


@pytest.mark.parametrize(
    ("found", "agrees"),
    [
        (row("healthy", dbt=True, message="", error_type=""), True),
        (row("healthy", dbt=False), False),
        (row("healthy", dbt=False, dbt_command="run", debug_passed=True), False),
        (
            row("healthy", dbt=False, reason=OWNED, relation="orders", warnings=TOLD),
            True,
        ),
        (
            row("healthy", dbt=False, reason=OWNED, relation="events", warnings=TOLD),
            False,
        ),
        (
            row("healthy", dbt=False, reason="no", relation="orders", warnings=TOLD),
            False,
        ),
        (row("healthy", dbt=False, reason=OWNED, warnings=TOLD), False),
        (row("unhealthy", dbt=False), True),
        (row("unhealthy", dbt=True), False),
        (row("unhealthy", dbt=True, asleep=True), True),
        (row("healthy", dbt=False, asleep=True), False),
        (row("unhealthy", dbt=True, direct="IO Error: refused"), True),
        (row("unhealthy", dbt=True, direct="reads 1 row"), False),
        (row("unhealthy", dbt=False, message=""), False),
        (row("unhealthy", dbt=False, error_type=""), False),
        (row("degraded", dbt=True), True),
        (row("degraded", dbt=False), True),
        (row("degraded", dbt=True, message=""), False),
        (row("refused", dbt=False, error_type="configuration"), True),
        (row("refused", dbt=True, error_type="configuration"), False),
    ],
)
def test_agreement(found: Row, agrees: bool) -> None:
    assert found.agrees is agrees
    assert ("**disagrees**" in report.section(engines.load("duckdb"), [found])) is not agrees


def test_every_engine_has_its_cases() -> None:
    counted = {name: len(engines.load(name).cases) for name in engines.names()}
    least = {"bigquery": 30, "duckdb": 30, "duckdb2": 10, "iceberg": 30, "polaris": 25, "postgres": 35}
    least |= {"databricks": 40, "rest_catalogs": 10, "snowflake": 30, "spark": 24, "trino": 40}
    least |= {"clickhouse": 30, "redshift": 55}
    assert counted.keys() == least.keys()
    assert not {name: counted[name] for name in least if counted[name] < least[name]}


def test_situations_have_names_of_their_own() -> None:
    for name in engines.names():
        cases = [case.name for case in engines.load(name).cases]
        assert len(set(cases)) == len(cases)


@pytest.mark.process
@pytest.mark.parametrize(("gate", "status"), [("0", 0), ("1", 1)])
def test_servers_that_cannot_be_had_are_skipped_with_the_reason_and_fail_the_gate(
    gate: str, status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "polaris", "--check"],
        env={**os.environ, "PATH": "/nonexistent", "FLOE_MONITOR_CI": gate},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (
        status,
        "polaris: skipped: needs Maven: apt-get install maven\n",
    ), done.stderr
