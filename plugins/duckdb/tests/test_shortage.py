"""A process without free file descriptors: no verdict on the target, and no end of the daemon."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.process

_PROBING = """
import json, os, resource, sys
from contextlib import suppress
from floe_monitor.compute import MonitorResourceError
from floe_monitor.registry.config_validation import build_config
from floe_monitor_duckdb import DuckDBComputePlugin

plugin = DuckDBComputePlugin()
config = build_config(plugin, {"plugin": "duckdb", "connection": json.loads(sys.argv[1])})
print(plugin.validate_connection(config).status.value)

free = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 32, 4096))
taken = []
with suppress(OSError):
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
for _ in range(free):
    os.close(taken.pop())
try:
    print(plugin.validate_connection(config))
except MonitorResourceError as error:
    print(error)

while taken:
    os.close(taken.pop())
print(plugin.validate_connection(config).status.value)
"""
"""A validation before, during and after."""


_LOADING = """
import os, resource, sys
from contextlib import suppress
import duckdb
from floe_monitor.compute import MonitorResourceError
from floe_monitor_duckdb.errors import classify

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 4096))
connection = duckdb.connect(config={"extension_directory": sys.argv[1]})
with suppress(OSError):
    while True:
        os.open("/dev/null", os.O_RDONLY)
try:
    connection.execute("LOAD avro")
except duckdb.IOException as error:
    try:
        print(classify(error))
    except MonitorResourceError as shortage:
        print(shortage)
"""
SHORTAGE = "the monitor has no more file descriptors (the limit of this process)"


def run(script: str, *arguments: str) -> list[str]:
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts descriptors in /proc")
@pytest.mark.parametrize("free", [0, 1, 3])
@pytest.mark.parametrize("kind", ["memory", "file"])
def test_it_is_the_monitors_own_fault(database: Path, kind: str, free: int) -> None:
    path = ":memory:" if kind == "memory" else str(database)
    assert run(_PROBING, json.dumps({"path": path}), str(free)) == ["healthy", SHORTAGE, "healthy"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="as above")
def test_duckdbs_own_words_for_it_are_understood(extension_directory: str) -> None:
    """DuckDB repeats the system's text alone."""
    assert run(_LOADING, extension_directory) == [SHORTAGE]
