"""Full garbage collections as often as they are of use, and not as often as results are replaced.

CPython begins one when as many objects as a quarter of all have outlived younger collections, even where
as many were freed meanwhile. Ten thousand targets replace that many results every forty seconds, and each
time every thread stood still for 0.4 s, over a million objects of which not ten were garbage. Collections of
young objects, which take milliseconds, remain CPython's.
"""

from __future__ import annotations

import gc
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHARE = 0.0002
"""Of the time, what full collections may take: one of 5 ms every 25 seconds."""

LITTLE, LONGEST = 0.001, 64
"""Where one finds fewer objects than that share of the allocated memory, the next waits for twice as long,
up to so many times."""

GROWTH = 2.0
"""Of the allocated memory since the last one, at which it is not waited for. In the first ten minutes, until
of each target as many results are kept as are to be, it grows by three quarters and nothing is garbage."""

PERIOD = 5.0
NEVER = 2**31 - 1


@contextmanager
def full_collections_withheld() -> Iterator[None]:
    """None by CPython itself until the block ends. For the whole process."""
    former = gc.get_threshold()
    gc.set_threshold(former[0], former[1], NEVER)
    try:
        yield
    finally:
        gc.set_threshold(*former)
        gc.unfreeze()


class FullCollections:
    """`run` in the event loop makes one whenever it is due.

    `generation` tells the configuration in force by a number.
    """

    def __init__(self, generation: Callable[[], int], clock: Callable[[], float] = time.perf_counter) -> None:
        self._generation = generation
        self._clock = clock
        self._settled = -1
        self._not_before = 0.0
        self._most_blocks = 0.0
        self._patience = 1

    async def run(self) -> None:
        while True:
            if self._generation() != self._settled:
                self._settle()
            elif self.due():
                self.collect()
            await anyio.sleep(PERIOD)

    def due(self) -> bool:
        return self._clock() >= self._not_before or sys.getallocatedblocks() > self._most_blocks

    def collect(self) -> None:
        began = self._clock()
        found = gc.collect()
        ended = self._clock()
        blocks = sys.getallocatedblocks()
        much = found > blocks * LITTLE
        waits = 1 if much else self._patience
        self._not_before = ended + (ended - began) / SHARE * waits
        self._most_blocks = blocks * GROWTH
        self._patience = 1 if much else min(2 * waits, LONGEST)

    def _settle(self) -> None:
        """What there is under a new configuration stays until the next, and is not looked through again.

        What of it is freed by its count of references is freed as ever.
        """
        self._settled = self._generation()
        gc.unfreeze()
        self.collect()
        gc.freeze()
