"""Quantiles of durations, to ±2 %, in some hundred bytes, that can be merged: an hour's into a day's.

Counts in logarithmic buckets, as DDSketch has them: each bound is 4 % above the last. What is stored are
pairs of variable-length numbers: the distance to the bucket before, and the count.
"""

from __future__ import annotations

import math

GROWTH = 1.04
_PER_BUCKET = math.log(GROWTH)
_UNIT = 1e-6  # seconds; what is less counts as that
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
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count

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
        sketch = cls()
        counts = sketch._counts
        bucket = number = shift = 0
        distance = -1  # none yet: a count comes after one
        for byte in packed:
            if byte & 0x80:
                number |= (byte & 0x7F) << shift
                shift += 7
                if shift > 63:
                    raise ValueError("a number of a sketch has no end")
                continue
            number |= byte << shift
            if distance < 0:
                distance = number
            elif number:
                bucket += distance
                counts[bucket] = counts.get(bucket, 0) + number
                distance = -1
            else:
                raise ValueError("a bucket of a sketch is empty")
            number = shift = 0
        if shift or distance >= 0:
            raise ValueError("a sketch is cut off")
        return sketch


def _pack(number: int, into: bytearray) -> None:
    """Seven bits a byte, the lowest first; all but the last have the eighth set."""
    while number > 0x7F:
        into.append(number & 0x7F | 0x80)
        number >>= 7
    into.append(number)
