"""Full collections come when they are due, and neither more often nor never."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING

import anyio
import pytest

from floe_monitor.daemon import garbage_collection
from floe_monitor.daemon.garbage_collection import (
    GROWTH,
    NEVER,
    SHARE,
    FullCollections,
    full_collections_withheld,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node:
    """One that is garbage as soon as nobody else holds it, and that only a collection finds."""

    def __init__(self) -> None:
        self.itself = self


class Clock:
    """Seconds that pass when they are read: a collection reads twice, so each takes `step`."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.unfreeze()  # what the run's own harness has frozen
    with full_collections_withheld():
        yield
    gc.freeze()


def test_the_interpreter_begins_none_meanwhile_and_as_before_afterwards() -> None:
    assert gc.get_threshold()[2] == NEVER
    inside = gc.get_threshold()
    with full_collections_withheld():
        gc.freeze()
    assert gc.get_threshold() == inside
    assert gc.get_freeze_count() == 0


def test_one_that_took_long_is_not_repeated_soon() -> None:
    clock = Clock(step=0.4)
    collections = FullCollections(lambda: 1, clock)
    assert collections.due()
    collections.collect()
    ended = clock.now
    assert not collections.due()
    clock.now = ended + 0.4 / SHARE - 1
    assert not collections.due()
    clock.now = ended + 0.4 / SHARE
    assert collections.due()


def test_while_they_find_nothing_they_become_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    found = 0

    class Collector:
        """As many as they are, each would look through all of the run's objects."""

        @staticmethod
        def collect() -> int:
            return found

    monkeypatch.setattr(garbage_collection, "gc", Collector)
    clock = Clock(step=0.5)
    collections = FullCollections(lambda: 1, clock)

    def waited_for() -> int:
        """In multiples of what its own time comes to."""
        ended = clock.now
        low, high = 0.0, 1e9
        while high - low > 10:
            middle = clock.now = ended + (low + high) / 2
            low, high = (low, middle - ended) if collections.due() else (middle - ended, high)
        clock.now = ended
        return round(high * SHARE / 0.5)

    waits = []
    for _ in range(9):
        collections.collect()
        waits.append(waited_for())
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    found = sys.getallocatedblocks() // 100
    collections.collect()
    assert waited_for() == 1, "rare although it found much"


def test_memory_that_has_grown_is_not_waited_for() -> None:
    collections = FullCollections(lambda: 1, Clock(step=1.0))
    collections.collect()
    assert not collections.due()
    grown = [object() for _ in range(int(sys.getallocatedblocks() * GROWTH) + 1)]
    assert collections.due()
    del grown


async def _until_freed(node: weakref.ref[Node]) -> None:
    with anyio.fail_after(60):
        while node() is not None:  # noqa: ASYNC110 - what is waited for has no event
            await anyio.sleep(0.01)


@pytest.mark.parametrize("frozen", [True, False], ids=["held-by-the-former-configuration", "made-since"])
async def test_cycles_are_freed(frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage_collection, "PERIOD", 0.01)
    generation = 1
    held = Node()
    collections = FullCollections(lambda: generation)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(collections.run)
        with anyio.fail_after(60):
            while gc.get_freeze_count() == 0:  # noqa: ASYNC110 - what is waited for has no event
                await anyio.sleep(0.01)
        if frozen:
            gone = weakref.ref(held)
            del held
            generation = 2
        else:
            made = Node()
            gone = weakref.ref(made)
            del made
            monkeypatch.setattr(collections, "due", lambda: True)
        await _until_freed(gone)
        tasks.cancel_scope.cancel()
