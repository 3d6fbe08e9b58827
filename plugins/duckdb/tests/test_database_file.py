"""What is said of a file, and that looking at it harms nobody."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from floe_monitor_duckdb import database_file, file_locks

from floe_monitor.compute import ConnectionResult, ConnectionStatus, Deadline, ErrorType

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

HEALTHY, DEGRADED, UNHEALTHY = ConnectionStatus


def test_a_sound_file_is_healthy(database: Path, probe: Callable[..., ConnectionResult]) -> None:
    result = probe(path=str(database))
    assert result.status is HEALTHY, result
    assert [check.name for check in result.checks] == ["file", "connect", "query"]


def test_a_file_held_by_a_writer_is_in_use(
    database: Path,
    probe: Callable[..., ConnectionResult],
    holding: Callable[[Path, str], AbstractContextManager[int]],
) -> None:
    with holding(database, "write") as pid:
        result = probe(path=str(database))
        as_reader = probe(path=str(database), config_options={"access_mode": "read_only"})
    assert (result.status, result.error_type) == (DEGRADED, None)
    assert result.message.startswith(f"{database} is in use by PID {pid} (python")
    assert as_reader.status is DEGRADED
    assert probe(path=str(database)).status is HEALTHY


def test_a_reader_is_in_the_way_of_a_writer_alone(
    database: Path,
    probe: Callable[..., ConnectionResult],
    holding: Callable[[Path, str], AbstractContextManager[int]],
) -> None:
    with holding(database, "read") as pid:
        assert f"in use for reading by PID {pid}" in probe(path=str(database)).message
        as_reader = probe(path=str(database), config_options={"access_mode": "read_only"})
    assert as_reader.status is HEALTHY


def test_a_lock_of_this_very_process_survives_the_probe(
    database: Path, probe: Callable[..., ConnectionResult], opens: Callable[[Path], bool]
) -> None:
    connection = duckdb.connect(str(database))
    try:
        for _ in range(3):
            result = probe(path=str(database))
            assert result.status is DEGRADED
            assert f"PID {os.getpid()} (this process)" in result.message
        assert not opens(database)
    finally:
        connection.close()
    assert opens(database)


def test_a_lock_taken_while_the_file_is_read_survives_too(
    database: Path, opens: Callable[[Path], bool]
) -> None:
    with file_locks.reading(str(database), database.stat()) as descriptor:
        connection = duckdb.connect(str(database))
    try:
        assert not opens(database)
        os.fstat(descriptor)
    finally:
        connection.close()
    with file_locks.reading(str(database), database.stat()) as reused:
        assert reused == descriptor
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_a_missing_file_would_be_created(tmp_path: Path, probe: Callable[..., ConnectionResult]) -> None:
    path = tmp_path / "new.duckdb"
    result = probe(path=str(path))
    assert (result.status, result.error_type) == (DEGRADED, None)
    assert result.message == f"{path} does not exist; dbt would create an empty database"
    assert probe(path=str(path), must_exist=True).status is UNHEALTHY
    assert not path.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"not a database" * 2000, "is not a DuckDB database"),
        (b"12345678DUCK", "is truncated"),
    ],
)
def test_a_broken_file_says_how(
    tmp_path: Path, probe: Callable[..., ConnectionResult], content: bytes, text: str
) -> None:
    path = tmp_path / "broken.duckdb"
    path.write_bytes(content)
    result = probe(path=str(path))
    assert result.status is UNHEALTHY
    assert text in result.message
    assert result.message.count("/") == str(path).count("/")


def test_paths_that_are_no_files_are_never_opened(
    tmp_path: Path, probe: Callable[..., ConnectionResult]
) -> None:
    fifo, pipe = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(pipe))
        expected = {tmp_path: "directory", fifo: "FIFO", pipe: "socket", "/dev/zero": "device"}
        for path, word in expected.items():
            result = probe(path=str(path))
            assert result.status is UNHEALTHY
            assert word in result.message


@pytest.mark.parametrize(
    ("make", "status", "text"),
    [
        (lambda base: (base / "link").symlink_to(base / "to-be"), DEGRADED, "does not exist"),
        (
            lambda base: (base / "link").symlink_to(base / "no" / "where"),
            UNHEALTHY,
            "symlink into a directory",
        ),
        (lambda base: (base / "link").symlink_to(base / "link"), UNHEALTHY, "symlinks lead in a circle"),
    ],
)
def test_symlinks(
    tmp_path: Path,
    probe: Callable[..., ConnectionResult],
    make: Callable[[Path], None],
    status: ConnectionStatus,
    text: str,
) -> None:
    make(tmp_path)
    result = probe(path=str(tmp_path / "link"))
    assert result.status is status
    assert text in result.message


def test_paths_that_lead_nowhere(tmp_path: Path, probe: Callable[..., ConnectionResult]) -> None:
    (tmp_path / "file").touch()
    for path, text in {
        tmp_path / "no" / "x.duckdb": "a directory that does not exist",
        tmp_path / "file" / "x.duckdb": "no directory",
        tmp_path / ("x" * 300): "too long",
    }.items():
        result = probe(path=str(path))
        assert result.status is UNHEALTHY
        assert text in result.message


@pytest.mark.usefixtures("bound_by_permissions")
class TestPermissions:
    def test_of_the_file(self, database: Path, probe: Callable[..., ConnectionResult]) -> None:
        database.chmod(0o444)
        result = probe(path=str(database))
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
        assert probe(path=str(database), check_writable=False).status is HEALTHY
        assert probe(path=str(database), config_options={"access_mode": "read_only"}).status is HEALTHY
        database.chmod(0)
        result = probe(path=str(database), check_writable=False)
        assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
        assert "may not be read" in result.message

    def test_of_the_directory(self, database: Path, probe: Callable[..., ConnectionResult]) -> None:
        database.parent.chmod(0o555)
        result = probe(path=str(database))
        assert (result.status, result.error_type) == (DEGRADED, ErrorType.PERMISSION)
        assert "its directory is not writable" in result.message
        missing = probe(path=str(database.with_name("new.duckdb")))
        assert (missing.status, missing.error_type) == (UNHEALTHY, ErrorType.PERMISSION)
        database.parent.chmod(0o666)
        assert probe(path=str(database)).error_type is ErrorType.PERMISSION
        database.parent.chmod(0o755)

    def test_of_the_log(self, crashed: Path, probe: Callable[..., ConnectionResult]) -> None:
        log = crashed.with_name("shop.duckdb.wal")
        log.chmod(0o444)
        assert probe(path=str(crashed)).status is DEGRADED
        log.chmod(0)
        assert probe(path=str(crashed)).status is UNHEALTHY


def test_a_log_that_is_no_file(database: Path, probe: Callable[..., ConnectionResult]) -> None:
    database.with_name(database.name + ".wal").mkdir()
    assert probe(path=str(database)).status is UNHEALTHY


def test_a_file_that_mends_while_it_is_read_again_is_no_alarm(database: Path) -> None:
    """What a probe sees of a writer between two of its steps."""
    content = database.read_bytes()
    database.write_bytes(content[:9000])
    pauses: list[float] = []

    def mend(pause: float) -> None:
        pauses.append(pause)
        if len(pauses) == 2:
            database.write_bytes(content)

    found = database_file.inspect(
        str(database), read_only=False, check_writable=True, limit=Deadline.after(5.0), sleep=mend
    )
    assert found.headers is not None
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [("file:///a/b", "/a/b"), ("file://localhost/a", "/a"), ("file:/a", "/a"), ("a/b", "a/b")],
)
def test_duckdbs_ways_to_write_a_path(path: str, expected: str) -> None:
    assert database_file.local_path(path) == expected


def test_descriptors_do_not_leak(database: Path) -> None:
    def look() -> None:
        for _ in range(50):
            database_file.inspect(
                str(database), read_only=False, check_writable=True, limit=Deadline.after(5.0)
            )

    before = len(list(Path("/proc/self/fd").iterdir()))
    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    look()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.fixture
def small(tmp_path: Path, starts_processes: None) -> Iterator[Path]:
    """A file system with room for 1 MiB and 20 files."""
    directory = tmp_path / "small"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=20", "none", str(directory)]
    if subprocess.run(command, capture_output=True, check=False, timeout=60).returncode:
        pytest.skip("may not mount a file system here")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True, timeout=60)


def _fill(directory: Path, *, leave: int) -> None:
    space = os.statvfs(directory)
    with (directory / "other").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - leave)


def _use_up_names(directory: Path) -> None:
    for number in range(os.statvfs(directory).f_favail):
        (directory / str(number)).touch()


@pytest.mark.parametrize("fill", [lambda directory: _fill(directory, leave=8192), _use_up_names])
def test_a_full_file_system_is_read_only_for_what_is_there_and_nothing_for_what_is_not(
    small: Path,
    database: Path,
    probe: Callable[..., ConnectionResult],
    opens: Callable[[Path], bool],
    fill: Callable[[Path], None],
) -> None:
    path = small / "shop.duckdb"
    path.write_bytes(database.read_bytes())
    assert probe(path=str(path)).status is HEALTHY
    fill(small)
    result = probe(path=str(path))
    assert (result.status, result.error_type) == (DEGRADED, ErrorType.CONNECTION)
    assert "its file system has room for" in result.message
    assert probe(path=str(path), config_options={"access_mode": "read_only"}).status is HEALTHY
    missing = small / "new.duckdb"
    result = probe(path=str(missing))
    assert (result.status, result.error_type) == (UNHEALTHY, ErrorType.CONNECTION)
    assert "cannot be created: its file system is full" in result.message
    assert not opens(missing)
