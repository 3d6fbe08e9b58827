"""The write-ahead log beside a database file: what DuckDB replays when it opens the file.

A log cut off in the middle of an entry is normal after a crash, and DuckDB passes over it. One whose entry is
complete but altered makes the open fail. Only the format of DuckDB 1.x is checked, and no more than
`MAX_BYTES` of it.
"""

from __future__ import annotations

import struct

from floe_monitor_duckdb.storage import checksum

MAX_BYTES = 1024 * 1024

_BEGINNING = bytes.fromhex("6400626500 02ffff")
"""The entry that names the log's version, 2: without a checksum of its own."""
_WORD = (1 << 64) - 1
_FACTOR = 0xC6A4A7935BD1E995
_SEED = 0xE17A1465


def altered_at(data: bytes) -> int | None:
    """Where the first complete entry with a wrong checksum begins, in bytes; None where there is none."""
    if not data.startswith(_BEGINNING):
        return None
    at = len(_BEGINNING)
    while at + 16 <= len(data):
        size, expected = struct.unpack_from("<QQ", data, at)
        if at + 16 + size > len(data):
            return None
        if entry_checksum(data[at + 16 : at + 16 + size]) != expected:
            return at
        at += 16 + size
    return None


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
