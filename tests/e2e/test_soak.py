"""The soak of all engines, short: what it proves of memory and punctuality needs its ten minutes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

ENGINES = (
    "bigquery",
    "clickhouse",
    "databricks",
    "duckdb",
    "postgres",
    "redshift",
    "snowflake",
    "spark",
    "trino",
)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.gate,
    pytest.mark.skipif(sys.platform != "linux", reason="what a process uses is read from Linux' /proc"),
]


def test_nine_engines_with_one_hung_each_are_told_apart_throughout() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "conformance.soak", "--minutes", "0.2", "--interval", "1", "--stand-ins"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=REPOSITORY,
    )
    assert "holds  the well were HEALTHY at every probe" in done.stdout, done.stdout + done.stderr
    assert "holds  SIGTERM ended it with 0" in done.stdout
    for engine in ENGINES:
        assert f"| {engine}-well |" in done.stdout
        verdicts = re.search(rf"(?m)^\| {engine}-hung \| ([^|]+) \|", done.stdout)
        assert verdicts is not None
        # On a busy machine the load of an extension may be what takes all the time.
        words = "UNHEALTHY|DEGRADED" if engine == "duckdb" else "UNHEALTHY"
        assert re.fullmatch(rf"(\d+ ({words}) \(timeout\)(, )?)+", verdicts[1]), done.stdout
