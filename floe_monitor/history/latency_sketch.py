"""Quantiles of durations, to ±2 %, in some hundred bytes, that can be merged: an hour's into a day's.

Counts in logarithmic buckets, as DDSketch has them: each bound is 4 % above the last. What is stored are
pairs of variable-length numbers: the distance to the bucket before, and the count.
"""

from __future__ import annotations

import math
import re
from itertools import accumulate

GROWTH = 1.04
_PER_BUCKET = math.log(GROWTH)
_UNIT = 1e-6  # seconds; what is less counts as that
_MORE_TO_COME = re.compile(rb"[\x80-\xff]")
_MOST = 1e6  # seconds; eleven days, and no result takes as long


class LatencySketch:
    """Durations in seconds. An empty one has no quantiles."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LatencySketch) and self._counts == other._counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def add(self, seconds: float) -> None:
        bucket = math.ceil(math.log(min(max(seconds, _UNIT), _MOST) / _UNIT) / _PER_BUCKET)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1

    def merge(self, other: LatencySketch) -> None:
        counts = self._counts
        if not counts:
            counts.update(other._counts)
            return
        for bucket, count in other._counts.items():
            counts[bucket] = counts.get(bucket, 0) + count

    def quantile(self, share: float) -> float | None:
        """The duration that `share` (0 to 1) of all do not exceed."""
        wanted, seen = share * (len(self) - 1), 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen > wanted:
                # The middle of the bucket's bounds, so that the error is the same to both sides.
                return float(2 * GROWTH**bucket / (GROWTH + 1) * _UNIT)
        return None

    def to_bytes(self) -> bytes:
        packed, last = bytearray(), 0
        for bucket in sorted(self._counts):
            _pack(bucket - last, packed)
            _pack(self._counts[bucket], packed)
            last = bucket
        return bytes(packed)

    @classmethod
    def from_bytes(cls, packed: bytes) -> LatencySketch:
        """`ValueError` for what `to_bytes` has not made."""
        numbers = list(packed)
        # Nearly all are one byte. Of those that are more each byte joins the number after it, the last first.
        for found in reversed([match.start() for match in _MORE_TO_COME.finditer(packed)]):
            if found + 1 == len(numbers):
                raise ValueError("a sketch is cut off")
            numbers[found : found + 2] = (numbers[found] & 0x7F | numbers[found + 1] << 7,)
        counts = numbers[1::2]
        if len(numbers) % 2 or max(numbers, default=0) >> 63:
            raise ValueError("a sketch is cut off, or a number of it has no end")
        sketch = cls()
        sketch._counts = dict(zip(accumulate(numbers[::2]), counts, strict=True))
        if 0 in counts or len(sketch._counts) < len(counts):
            raise ValueError("a bucket of a sketch is empty, or there twice")
        return sketch


def _pack(number: int, into: bytearray) -> None:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    while number > 0x7F:
        into.append(number & 0x7F | 0x80)
        number >>= 7
    into.append(number)
