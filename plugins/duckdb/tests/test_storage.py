"""The file format as read here, against what DuckDB itself says of the same bytes."""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest
from floe_monitor_duckdb import database_file, storage
from hypothesis import example, given, settings
from hypothesis import strategies as st

from floe_monitor.compute import ConnectionResult, ConnectionStatus, Deadline

if TYPE_CHECKING:
    from collections.abc import Callable

VERSIONS = ("v0.10.2", "v1.0.0", "v1.2.0", "v1.3.0", "v1.4.0", "latest")


READABLE = storage.readable_by(duckdb.__version__)


def make(path: Path, version: str = "v1.0.0") -> bytes:
    with duckdb.connect(str(path), config={"storage_compatibility_version": version}) as connection:
        connection.execute("CREATE TABLE t AS SELECT range AS a FROM range(100)")
    return path.read_bytes()


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make(tmp_path_factory.mktemp("storage") / "sound.duckdb")


def with_checksum(data: bytes, header: int) -> bytes:
    """The bytes with the checksum of that header (0, 1, 2) made right."""
    at = header * storage.HEADER_SIZE
    rest = data[at + 8 : at + storage.HEADER_SIZE]
    return data[:at] + struct.pack("<Q", storage.checksum(rest)) + data[at + 8 :]


def put(data: bytes, header: int, offset: int, value: int) -> bytes:
    at = header * storage.HEADER_SIZE + offset
    return with_checksum(data[:at] + struct.pack("<Q", value) + data[at + 8 :], header)


def verdicts(data: bytes) -> tuple[bool, bool]:
    """Whether the bytes are accepted here, and whether DuckDB opens them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "copy.duckdb")
        path.write_bytes(data)
        try:
            found = database_file.inspect(
                str(path), read_only=False, check_writable=True, limit=Deadline.after(0)
            )
            ours = not found.unjudged
        except database_file.UnusableFileError:
            ours = False
        try:
            duckdb.connect(str(path)).close()
        except duckdb.Error:
            return ours, False
        return ours, True


@pytest.mark.parametrize("version", VERSIONS)
def test_every_header_and_block_of_a_real_file_is_intact(tmp_path: Path, version: str) -> None:
    data = make(tmp_path / "real.duckdb", version)
    headers = storage.read_headers(data[: storage.HEADERS_SIZE], len(data), READABLE)
    assert headers.block_count >= 1
    assert headers.root is not None
    for block in range(headers.block_count):
        at = headers.location(block)
        assert storage.is_intact(data[at : at + headers.block_size])


def test_the_checksum_is_the_sum_over_single_words() -> None:
    data = bytes(range(256)) * 16
    expected = 5381
    for (word,) in struct.iter_unpack("<Q", data):
        expected ^= word * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    assert storage.checksum(data) == expected


@settings(max_examples=60, deadline=None)
@given(
    offset=st.one_of(
        st.builds(lambda header, at: header * 4096 + at, st.integers(0, 2), st.integers(0, 110)),
        st.integers(0, storage.HEADERS_SIZE - 1),
    ),
    bit=st.integers(0, 7),
)
@example(offset=8, bit=0)
@example(offset=storage.HEADERS_SIZE - 1, bit=7)
def test_one_flipped_bit_is_judged_as_duckdb_judges_it(sound: bytes, offset: int, bit: int) -> None:
    broken = bytearray(sound)
    broken[offset] ^= 1 << bit
    ours, duckdbs = verdicts(bytes(broken))
    assert ours == duckdbs


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    header=st.integers(0, 2),
    field=st.integers(0, 7),
    value=st.one_of(st.integers(0, 300), st.sampled_from([1 << 18, 1 << 56, 1 << 62, (1 << 64) - 1])),
)
def test_no_false_alarm_over_any_consistent_header(sound: bytes, header: int, field: int, value: int) -> None:
    ours, duckdbs = verdicts(put(sound, header, (12 if header == 0 else 8) + 8 * field, value))
    assert ours or not duckdbs


@settings(max_examples=25, deadline=None)
@given(share=st.floats(0, 1))
def test_a_truncated_file_is_no_false_alarm_and_never_healthy_without_its_catalog(
    sound: bytes, share: float
) -> None:
    ours, duckdbs = verdicts(sound[: int(len(sound) * share)])
    assert ours == duckdbs


@pytest.mark.parametrize(
    ("header", "offset", "value", "fault"),
    [
        (0, 12, 63, storage.Fault.OLDER),
        (0, 20, 1, storage.Fault.ENCRYPTED),
        (1, 48, 1024, storage.Fault.CORRUPT),
        (2, 48, 7, storage.Fault.CORRUPT),
        (1, 40, 1024, storage.Fault.CORRUPT),
        (1, 24, 900, storage.Fault.TRUNCATED),
        (1, 24, (1 << 64) - 1, storage.Fault.CORRUPT),
    ],
)
def test_each_fault_has_its_name(
    sound: bytes, header: int, offset: int, value: int, fault: storage.Fault
) -> None:
    broken = put(sound, header, offset, value)
    with pytest.raises(storage.StorageError) as caught:
        storage.read_headers(broken[: storage.HEADERS_SIZE], len(broken), READABLE)
    assert caught.value.fault is fault
    assert verdicts(broken) == (False, False)


def test_a_database_whose_end_was_freed_is_sound(tmp_path: Path) -> None:
    """DuckDB cuts free blocks off the end without telling the header."""
    path = tmp_path / "shrunk.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE big AS SELECT hash(range) AS a FROM range(1000000)")
        connection.execute("CHECKPOINT")
        connection.execute("DROP TABLE big")
        connection.execute("CHECKPOINT")
    assert verdicts(path.read_bytes()) == (True, True)


@pytest.mark.parametrize("version", [64, 66, 67, 68, 69, 70, 998, 999, 1000, 1 << 40])
def test_what_is_read_is_what_duckdb_reads(sound: bytes, version: int) -> None:
    ours, duckdbs = verdicts(put(sound, 0, 12, version))
    assert ours is (version in READABLE)
    assert ours or not duckdbs


def test_each_duckdb_reads_more_than_the_one_before() -> None:
    """Measured with 1.4.4, 1.5.5 and 2.0.1, whose own files have number 999."""
    assert storage.readable_by("1.4.4") == frozenset(range(64, 68))
    assert storage.readable_by("1.5.5") == frozenset(range(64, 69))
    assert storage.readable_by("2.0.1") == frozenset({*range(64, 70), 999})
    assert storage.readable_by("2.7.0") == storage.readable_by("2.0.1")


def test_a_file_of_a_newer_duckdb_cannot_be_judged(
    sound: bytes, tmp_path: Path, probe: Callable[..., ConnectionResult]
) -> None:
    newer = put(sound, 0, 12, 1000)
    path = tmp_path / "newer.duckdb"
    path.write_bytes(newer)
    result = probe(path=str(path))
    assert (result.status, result.error_type) == (ConnectionStatus.DEGRADED, None)
    assert f"cannot be judged; install 'duckdb>={duckdb.__version__}' beside the monitor" in result.message
    path.write_bytes(with_checksum(newer[:52] + bytes(32) + newer[84:], 0))
    assert "install the DuckDB that wrote it" in probe(path=str(path)).message
    assert probe(path=":memory:", attach=[{"path": str(path)}]).status is ConnectionStatus.DEGRADED
