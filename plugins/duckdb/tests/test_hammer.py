"""The promise that a probe never makes a writer's open fail, and that probing costs nothing that stays."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import psutil
import pytest
from floe_monitor_duckdb import database_file

from floe_monitor.compute import ConnectionResult, ConnectionStatus, Deadline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITER = """
import sys, duckdb
failures = 0
for number in range(1000):
    try:
        with duckdb.connect(sys.argv[1]) as connection:
            if number % 5 == 0:
                connection.execute("INSERT INTO t VALUES (1)")
    except duckdb.Error as error:
        failures += 1
        print(error, file=sys.stderr)
print(failures)
"""


@pytest.mark.gate
@pytest.mark.process
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_thousand_opens_of_a_writer_while_probed_at_full_speed(
    database: Path, probe: Callable[..., ConnectionResult]
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(database)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    looks, in_use, alarms = 0, 0, list[str]()
    results = list[ConnectionResult]()

    def validate() -> None:
        while writer.poll() is None:
            results.append(probe(path=str(database)))

    validating = threading.Thread(target=validate, name="validating")
    validating.start()
    while writer.poll() is None:
        looks += 1
        try:
            found = database_file.inspect(
                str(database), read_only=False, check_writable=True, limit=Deadline.after(5.0)
            )
            in_use += found.holder is not None
        except database_file.UnusableFileError as error:
            alarms.append(str(error))
    validating.join()
    output, errors = writer.communicate()
    assert (output.strip(), errors) == (b"0", b"")
    assert not alarms
    assert {result.status for result in results} <= {ConnectionStatus.HEALTHY, ConnectionStatus.DEGRADED}
    assert looks > 1000
    assert in_use > 100


@pytest.mark.gate
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_thousand_probes_leave_nothing_behind(
    database: Path, probe: Callable[..., ConnectionResult]
) -> None:
    process = psutil.Process()

    def run(count: int) -> tuple[int, int, int]:
        for _ in range(count):
            assert probe(path=str(database)).status is ConnectionStatus.HEALTHY
        gc.collect()
        return process.memory_info().rss, process.num_threads(), process.num_fds()

    memory, threads, descriptors = run(100)
    later_memory, later_threads, later_descriptors = run(900)
    assert later_memory - memory < 5 * 1024 * 1024
    assert (later_threads, later_descriptors) == (threads, descriptors)
