"""The write-ahead log beside a database file: what DuckDB replays when it opens the file.

A log cut off in the middle of an entry is normal after a crash, and DuckDB passes over it. One whose entry is
complete but altered makes the open fail. Only version 2 of the format is checked, which DuckDB 1.x and 2.0
write, and no more than `MAX_BYTES` of it.
"""

from __future__ import annotations

import struct

from floe_monitor_duckdb.storage import checksum

MAX_BYTES = 1024 * 1024

_VERSION_2 = bytes.fromhex("640062650002")
"""The first two fields of the entry that the log begins with, which has no checksum of its own."""
_LIST, _NUMBER, _END = 0x66, 0x67, 0xFFFF
"""Fields that may follow: the identity of the database, in which DuckDB 2.0 writes it, and its checkpoint."""
_MAX_GROUPS = 10
_WORD = (1 << 64) - 1
_FACTOR = 0xC6A4A7935BD1E995
_SEED = 0xE17A1465


def altered_at(data: bytes) -> int | None:
    """Where the first complete entry with a wrong checksum begins, in bytes; None where there is none."""
    at = first_entry(data)
    if at is None:
        return None
    while at + 16 <= len(data):
        size, expected = struct.unpack_from("<QQ", data, at)
        if at + 16 + size > len(data):
            return None
        if entry_checksum(data[at + 16 : at + 16 + size]) != expected:
            return at
        at += 16 + size
    return None


def first_entry(data: bytes) -> int | None:
    """Where the entries with a checksum begin; None for a log of another format, or one cut off before."""
    if not data.startswith(_VERSION_2):
        return None
    at = len(_VERSION_2)
    try:
        while (field := int.from_bytes(data[at : at + 2], "little")) in {_LIST, _NUMBER}:
            count, at = _number(data, at + 2)
            for _ in range(count if field == _LIST else 0):
                _, at = _number(data, at)
    except IndexError:
        return None
    return at + 2 if field == _END else None


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and what follows it; `IndexError` for none."""
    value = 0
    for index in range(_MAX_GROUPS):
        value |= (data[at + index] & 0x7F) << 7 * index
        if data[at + index] < 0x80:
            return value, at + index + 1
    raise IndexError(at)


def entry_checksum(entry: bytes) -> int:
    """The checksum of whole words, and for the bytes that remain a MurmurHash64A of them."""
    whole = len(entry) & ~7
    found = checksum(entry[:whole])
    return found if whole == len(entry) else found ^ _hash(entry[whole:])


def _hash(rest: bytes) -> int:
    value = _SEED ^ (len(rest) * _FACTOR & _WORD) ^ int.from_bytes(rest, "little")
    value = value * _FACTOR & _WORD
    value ^= value >> 47
    value = value * _FACTOR & _WORD
    return value ^ (value >> 47)
