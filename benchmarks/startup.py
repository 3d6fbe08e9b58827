"""The sidecar at rest, and one `check` beside one `dbt debug`."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.daemons import daemon
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """
profiles: [{name: floe_project, path: profiles.yml, target: dev}]
targets: {dev: {plugin: duckdb, connection: {path: ":memory:"}}}
"""
DBT = Path(__file__).parents[1] / ".venvs" / "dbt-duckdb" / "bin" / "dbt"
PAIRS = 3


def idle() -> Iterator[Row]:
    times = []
    for _ in range(3):
        with daemon(CONFIG) as measured:
            times.append(measured.first_result)
            time.sleep(5)
            megabytes = measured.megabytes
    first = statistics.median(times)
    yield Row(
        "first result served after the start", f"{first:.2f} s", "<= 1.5 s", first <= 1.5, "median of three"
    )
    yield Row(
        "resident memory of an idle sidecar with DuckDB",
        f"{megabytes:.0f} MB",
        "< 120 MB",
        megabytes < 120,
        "five seconds after the start",
    )


def check() -> Iterator[Row]:
    claim = "`check` of one DuckDB target, times faster than `dbt debug`"
    if not DBT.exists():
        yield Row(claim, "–", ">= 5", None, "no dbt here: `make conformance` builds its environment")
        return
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder)
        (project / "floe-monitor.yaml").write_text(CONFIG)
        (project / "dbt_project.yml").write_text("name: bench\nversion: '1.0.0'\nprofile: floe_project\n")
        ours = [sys.executable, "-m", "floe_monitor"]
        subprocess.run([*ours, "profiles", "write"], cwd=folder, check=True, capture_output=True)
        environment = {**os.environ, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}

        def timed(command: list[str]) -> float:
            started = time.perf_counter()
            subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
            return time.perf_counter() - started

        debug = [str(DBT), "--no-version-check", "debug", "--profiles-dir", folder, "--project-dir", folder]
        for command in ([*ours, "check"], debug):
            timed(command)
        pairs = [(timed([*ours, "check"]), timed(debug)) for _ in range(PAIRS)]
        shutil.rmtree(project / "target", ignore_errors=True)
    ratio = statistics.median(theirs / own for own, theirs in pairs)
    own, theirs = (statistics.median(values) for values in zip(*pairs, strict=True))
    yield Row(
        claim,
        f"{ratio:.1f}",
        ">= 5",
        ratio >= 5,
        f"whole processes, same profile: {own:.2f} s and {theirs:.2f} s",
    )


def rows() -> Iterator[Row]:
    yield from idle()
    yield from check()
