"""The write-ahead log, against DuckDB's own replay."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb
import pytest
from floe_monitor_duckdb import database_file, wal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from floe_monitor.compute import Deadline

if TYPE_CHECKING:
    from pathlib import Path


def accepted(path: Path) -> bool:
    try:
        database_file.inspect(str(path), read_only=False, check_writable=True, limit=Deadline.after(0))
    except database_file.UnusableFileError:
        return False
    return True


def opened(path: Path) -> bool:
    try:
        duckdb.connect(str(path)).close()
    except duckdb.Error:
        return False
    return True


def test_a_log_left_by_a_crash_is_sound(crashed: Path) -> None:
    data = crashed.with_name("shop.duckdb.wal").read_bytes()
    assert wal.altered_at(data) is None
    assert accepted(crashed)


def test_a_torn_end_is_sound_at_every_length(crashed: Path) -> None:
    data = crashed.with_name("shop.duckdb.wal").read_bytes()
    assert all(wal.altered_at(data[:length]) is None for length in range(len(data)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_an_altered_log_is_never_sound_where_duckdb_refuses_it(crashed: Path, data: st.DataObject) -> None:
    folder = crashed.parent / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copy = folder / crashed.name
    shutil.copy(crashed, copy)
    log = bytearray(crashed.with_name("shop.duckdb.wal").read_bytes())
    beginning = wal.first_entry(bytes(log))
    assert beginning is not None
    at = data.draw(st.integers(beginning, len(log) - 1))
    log[at] ^= 1 << data.draw(st.integers(0, 7))
    copy.with_name("shop.duckdb.wal").write_bytes(log)
    ours = accepted(copy)
    assert ours == opened(copy)


@pytest.mark.parametrize("length", [1, 5, 8, 13, 16, 81])
def test_whole_words_and_the_rest_are_told_apart(length: int) -> None:
    entry = bytes(range(1, length + 1))
    assert wal.entry_checksum(entry) != wal.entry_checksum(entry[:-1] + b"\xff")


@pytest.mark.parametrize("version", ["v1.0.0", "latest"])
def test_an_altered_entry_is_found_in_the_log_of_every_format(tmp_path: Path, version: str) -> None:
    """DuckDB 2.0's own logs, and those of 1.5 for its newest storage, begin with more than a version."""
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": version}) as connection:
        connection.execute("CREATE TABLE t AS SELECT 'abc' AS a")
        log = path.with_name("shop.duckdb.wal").read_bytes()
    beginning = wal.first_entry(log)
    assert beginning is not None
    assert wal.altered_at(log) is None
    assert wal.altered_at(log.replace(b"abc", b"abd")) is not None
    assert all(wal.first_entry(log[:length]) is None for length in range(beginning))


def test_a_log_that_names_endless_fields_ends() -> None:
    for after in (bytes.fromhex("6600ffffffff7f"), b"\x66\x00" + b"\xff" * 1000):
        assert wal.altered_at(bytes.fromhex("640062650002") + after) is None
