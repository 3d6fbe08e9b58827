"""Databases to probe, and processes that hold them."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from floe_monitor_duckdb import DuckDBComputePlugin, extensions

from conformance import environments
from conformance.aws_catalogs import MiniStack
from conformance.lakehouse import Lakehouse
from floe_monitor.registry.config_validation import build_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from floe_monitor.compute import ConnectionResult

HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
sys.stdin.read()
"""
CRASH = """
import os, sys, duckdb
connection = duckdb.connect(sys.argv[1])
connection.execute("CREATE TABLE logged (a VARCHAR, b INTEGER)")
connection.execute("INSERT INTO logged VALUES ('abc', 1)")
os._exit(0)
"""


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: DuckDB keeps extensions there."""
    path = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(path))
    return path


@pytest.fixture(scope="session")
def packaged_extensions() -> None:
    """Packages of extensions are for one version of DuckDB: of another, tests go without."""
    if f"v{duckdb.__version__}" not in {each.version for each in extensions.packaged("httpfs")}:
        pytest.skip(f"the packages of extensions are not for DuckDB {duckdb.__version__}")


@pytest.fixture(scope="session")
def extension_directory(tmp_path_factory: pytest.TempPathFactory, packaged_extensions: None) -> str:
    """One for all, filled with what Iceberg needs: installing 60 MB takes a second each time."""
    directory = str(tmp_path_factory.mktemp("extensions"))
    with duckdb.connect(":memory:", config={"extension_directory": directory}) as connection:
        for name in ("avro", "httpfs", "iceberg"):
            extensions.load(connection, name)
    return directory


@pytest.fixture(scope="session")
def lakehouse(
    tmp_path_factory: pytest.TempPathFactory, extension_directory: str, starts_processes: None
) -> Iterator[Lakehouse]:
    try:
        made = Lakehouse(tmp_path_factory.mktemp("lakehouse"))
    except subprocess.CalledProcessError:
        pytest.skip("pip finds no package index for requirements/seaweedfs.txt")
    with made:
        made.fill(extension_directory)
        yield made


@pytest.fixture(scope="session")
def ministack(
    tmp_path_factory: pytest.TempPathFactory, extension_directory: str, starts_processes: None
) -> Iterator[MiniStack]:
    if reason := environments.unwanted("ministack.txt"):
        pytest.skip(reason)
    try:
        made = MiniStack(tmp_path_factory.mktemp("ministack"))
    except subprocess.CalledProcessError:
        pytest.skip("pip finds no package index for requirements/ministack.txt")
    with made:
        made.fill(extension_directory)
        yield made


@pytest.fixture
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small database that is closed and sound."""
    path = tmp_path_factory.mktemp("data") / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(1000)")
    return path


@pytest.fixture
def crashed(database: Path, starts_processes: None) -> Path:
    """A database whose writer was killed: its log is still to be replayed."""
    subprocess.run([sys.executable, "-c", CRASH, str(database)], check=True, timeout=120)
    assert database.with_name("shop.duckdb.wal").stat().st_size > 100
    return database


@pytest.fixture
def probe() -> Callable[..., ConnectionResult]:
    """Validate a target with these keys of `connection`."""
    plugin = DuckDBComputePlugin()

    def run(**connection: Any) -> ConnectionResult:
        return plugin.validate_connection(
            build_config(plugin, {"plugin": "duckdb", "connection": connection})
        )

    return run


@contextmanager
def _holding(path: Path, mode: str) -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
    finally:
        process.communicate(timeout=120)


@pytest.fixture
def holding(starts_processes: None) -> Callable[[Path, str], AbstractContextManager[int]]:
    """Another process that has the database open, to `read` or to `write`; its PID."""
    return _holding


@pytest.fixture
def opens(starts_processes: None) -> Callable[[Path], bool]:
    """Whether DuckDB opens the file for writing, in a process of its own."""

    def attempt(path: Path) -> bool:
        script = "import sys, duckdb; duckdb.connect(sys.argv[1]).close()"
        run = [sys.executable, "-c", script, str(path)]
        return subprocess.run(run, capture_output=True, check=False, timeout=120).returncode == 0

    return attempt


_OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root pass over permissions."""


@pytest.fixture
def bound_by_permissions() -> Iterator[None]:
    """Make permissions bind this thread even where the tests run as root (Linux)."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", 0x20080522, 0)
    before = ctypes.create_string_buffer(24)
    assert libc.capget(header, before) == 0
    words = list(struct.unpack("6I", before.raw))
    words[0] &= ~_OVERRIDES
    assert libc.capset(header, struct.pack("6I", *words)) == 0
    yield
    assert libc.capset(header, before) == 0
