"""The promise that the verdict is true: ours against a real `dbt debug`, situation by situation."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(420)  # the first run builds dbt's environment
def test_no_verdict_disagrees_with_dbt(tmp_path: Path) -> None:
    rows_file = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, "-m", "conformance", "duckdb", "--json", str(rows_file)],
        cwd=ROOT,
        env={**os.environ, "HOME": pwd.getpwuid(os.getuid()).pw_dir},  # pip's cache and configuration
        capture_output=True,
        text=True,
        check=False,
    )
    assert rows_file.exists(), done.stderr[-3000:]
    rows = json.loads(rows_file.read_text())["duckdb"]
    assert not [row for row in rows if not row["agrees"]]
    assert done.returncode == 0
    for row in rows:
        if row["status"] == "healthy":
            assert row["dbt_passed"], row
        if row["status"] == "unhealthy":
            assert not row["dbt_passed"], row
            assert row["error_type"], row
        if row["status"] != "healthy":
            assert row["message"], row
    assert {row["status"] for row in rows} == {"healthy", "degraded", "unhealthy"}
    assert len({row["case"] for row in rows}) == len(rows) >= 30
