"""DuckDB's file format, as far as opening a database depends on it: pure functions over bytes.

A file begins with a main header and two database headers of 4,096 bytes, then blocks. Each of these starts
with a checksum of the rest. The database header with the higher iteration is in force; the other must be
intact all the same, since DuckDB reads both. Verified against files and refusals of DuckDB 1.4, 1.5 and 2.0.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

HEADER_SIZE = 4096
HEADERS_SIZE = 3 * HEADER_SIZE
VECTOR_SIZE = 2048
DEFAULT_BLOCK_SIZE = 262144
OLDEST_READABLE = 64
_NEWEST_READABLE = {(1, 4): 67, (1, 5): 68, (2, 0): 69}
"""The newest storage version that a DuckDB reads."""
_OF_DUCKDB_2 = 999
"""What DuckDB 2.0 writes, out of turn."""

_MAGIC = b"DUCK"
_ENCRYPTED = 1
_NO_BLOCK = (1 << 64) - 1
_BLOCK_ID = (1 << 56) - 1
_FACTOR = 0xBF58476D1CE4E5B9
_SEED = 5381
_WORD = (1 << 64) - 1


class Fault(Enum):
    """Why a file cannot be opened."""

    EMPTY = "empty"
    NOT_DUCKDB = "not_duckdb"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"
    NEWER = "newer"
    OLDER = "older"
    ENCRYPTED = "encrypted"


class StorageError(Exception):
    """The bytes are not those of a database this DuckDB opens. The message names no path."""

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class BlockPointer:
    """A place in the metadata: a block and one of its 64 sub-blocks."""

    block: int
    index: int


@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers of a sound file say; `root` and `free_list` are None in an empty database."""

    storage_version: int
    written_by: str
    iteration: int
    block_size: int
    block_count: int
    root: BlockPointer | None
    free_list: BlockPointer | None

    def location(self, block: int) -> int:
        """Where the block begins in the file, in bytes."""
        return HEADERS_SIZE + block * self.block_size


def checksum(data: bytes | memoryview) -> int:
    """DuckDB's checksum of a header or block: its 64-bit words, each times a constant, xored together.

    All words are multiplied at once, as one integer with 128 bits of room for each.
    """
    words = memoryview(data).cast("Q")
    room = bytearray(16 * len(words))
    memoryview(room).cast("Q")[::2] = words
    product = int.from_bytes(room, "little") * _FACTOR
    lanes = 1 << max(0, (len(words) - 1).bit_length())
    while lanes > 1:
        lanes //= 2
        product ^= product >> (128 * lanes)
        product &= (1 << (128 * lanes)) - 1
    return _SEED ^ (product & _WORD)


def is_intact(data: bytes) -> bool:
    """True when the checksum at the beginning is that of the rest."""
    return int.from_bytes(data[:8], "little") == checksum(memoryview(data)[8:])


def readable_by(duckdb_version: str) -> frozenset[int]:
    """The storage versions that this DuckDB (`1.5.5`) reads; one newer than any known here reads what that
    does."""
    release = tuple(int(part) for part in duckdb_version.split(".")[:2])
    newest = max((known for known in _NEWEST_READABLE if known <= release), default=min(_NEWEST_READABLE))
    own = {_OF_DUCKDB_2} if release >= (2, 0) else set()
    return frozenset({*range(OLDEST_READABLE, _NEWEST_READABLE[newest] + 1), *own})


def read_headers(data: bytes, file_size: int, readable: Collection[int]) -> Headers:
    """Check the first `HEADERS_SIZE` bytes of a file as DuckDB does on opening; raises `StorageError`.

    `readable` has the storage versions that can be judged.
    """
    if not data:
        raise StorageError(Fault.EMPTY, "is empty: not a DuckDB database")
    if len(data) < 12 or data[8:12] != _MAGIC:
        raise StorageError(Fault.NOT_DUCKDB, "is not a DuckDB database")
    if len(data) < HEADERS_SIZE:
        raise StorageError(
            Fault.TRUNCATED, f"is truncated: {file_size} bytes, less than its headers ({HEADERS_SIZE})"
        )
    main, first, second = (data[at : at + HEADER_SIZE] for at in range(0, HEADERS_SIZE, HEADER_SIZE))
    if not is_intact(main):
        raise StorageError(Fault.CORRUPT, "is corrupt: the checksum of its main header is wrong")
    storage_version, flags = struct.unpack_from("<QQ", main, 12)
    written_by = main[52:84].split(b"\0", 1)[0].decode("ascii", "replace")
    _check_version(storage_version, written_by, readable)
    if flags & _ENCRYPTED:
        raise StorageError(Fault.ENCRYPTED, "is encrypted, and dbt opens it without a key")
    for number, header in enumerate((first, second), start=1):
        if not is_intact(header):
            raise StorageError(
                Fault.CORRUPT, f"is corrupt: the checksum of its database header {number} is wrong"
            )
        vector_size = struct.unpack_from("<Q", header, 48)[0] or VECTOR_SIZE
        if vector_size != VECTOR_SIZE:
            raise StorageError(Fault.CORRUPT, f"was written with a vector size of {vector_size}")
    active = first if struct.unpack_from("<Q", first, 8) > struct.unpack_from("<Q", second, 8) else second
    return _read_active(active, storage_version, written_by, file_size)


def _check_version(version: int, written_by: str, readable: Collection[int]) -> None:
    if version in readable:
        return
    author = f" (written by DuckDB {written_by})" if written_by else ""
    if version < OLDEST_READABLE:
        raise StorageError(
            Fault.OLDER,
            f"has storage version {version}{author}, older than any that DuckDB since 0.10 reads "
            f"({OLDEST_READABLE})",
        )
    raise StorageError(Fault.NEWER, f"has storage version {version}{author}")


def _read_active(header: bytes, version: int, written_by: str, file_size: int) -> Headers:
    iteration, root, free_list, block_count, block_size = struct.unpack_from("<5Q", header, 8)
    headers = Headers(
        storage_version=version,
        written_by=written_by,
        iteration=iteration,
        block_size=block_size or DEFAULT_BLOCK_SIZE,
        block_count=block_count,
        root=_pointer(root),
        free_list=_pointer(free_list),
    )
    size = headers.block_size
    if size & (size - 1) or not 16384 <= size <= DEFAULT_BLOCK_SIZE:
        raise StorageError(Fault.CORRUPT, f"is corrupt: it claims a block size of {size}")
    if (headers.root is None) < (headers.free_list is None):
        raise StorageError(Fault.CORRUPT, "is corrupt: its header names a catalog without a list of blocks")
    for pointer in (headers.free_list, headers.root):
        if pointer is not None and headers.location(pointer.block + 1) > file_size:
            raise StorageError(
                Fault.TRUNCATED,
                f"is truncated: {file_size} bytes, but its catalog lies in block {pointer.block}",
            )
    return headers


def _pointer(value: int) -> BlockPointer | None:
    return None if value == _NO_BLOCK else BlockPointer(value & _BLOCK_ID, value >> 56)
