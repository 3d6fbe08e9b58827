"""Slots that tell the truth, with real threads."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import pytest

from floe_monitor.compute.toolkit.worker_thread import Call
from floe_monitor.probing.workers import Slot, WorkerPool


async def run_in(pool: WorkerPool, slot: Slot, call: Any) -> Call[Any]:
    ended: asyncio.Future[Call[Any]] = asyncio.get_running_loop().create_future()
    pool.submit(slot, call, ended.set_result)
    return await asyncio.wait_for(ended, 60)


async def test_a_call_runs_on_another_thread_and_frees_its_slot() -> None:
    pool = WorkerPool(2, 2)
    slot = await pool.acquire("duckdb")
    assert pool.counts["duckdb"].busy == 1
    outcome = await run_in(pool, slot, threading.current_thread)
    thread = outcome.get()
    assert thread is not threading.main_thread()
    assert thread.daemon
    assert pool.counts["duckdb"].busy == 0
    pool.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
async def test_whatever_is_raised_comes_back(error: type[BaseException]) -> None:
    pool = WorkerPool(1, 1)

    def fail() -> None:
        raise error

    for _ in range(3):
        outcome = await run_in(pool, await pool.acquire("p"), fail)
        assert isinstance(outcome.error, error)
    assert pool.taken == 0
    pool.close()


async def test_a_slot_stays_taken_until_the_worker_really_ends() -> None:
    pool = WorkerPool(1, 1)
    release, ended = threading.Event(), asyncio.Event()
    slot = await pool.acquire("p")
    pool.submit(slot, release.wait, lambda _: ended.set())
    pool.mark_stuck(slot)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pool.acquire("p"), 0.1)
    assert (pool.counts["p"].busy, pool.counts["p"].stuck) == (1, 1)
    release.set()
    await asyncio.wait_for(ended.wait(), 60)
    assert (pool.counts["p"].busy, pool.counts["p"].stuck) == (0, 0)
    await asyncio.wait_for(pool.acquire("p"), 60)
    pool.close()


async def test_one_plugin_cannot_take_every_slot() -> None:
    pool = WorkerPool(4, 2)
    held = [await pool.acquire("ill"), await pool.acquire("ill")]
    waiting = asyncio.create_task(pool.acquire("ill"))
    await asyncio.sleep(0)
    well = await asyncio.wait_for(pool.acquire("well"), 60)
    assert not waiting.done()
    pool.release(held[0])
    await asyncio.wait_for(waiting, 60)
    assert pool.counts["ill"].busy == 2
    pool.release(well)


async def test_the_first_to_ask_is_the_first_served() -> None:
    pool = WorkerPool(1, 1)
    held = await pool.acquire("a")
    order: list[str] = []

    async def ask(name: str, plugin: str) -> None:
        slot = await pool.acquire(plugin)
        order.append(name)
        pool.release(slot)

    tasks = []
    for name, plugin in (("1", "a"), ("2", "b"), ("3", "a"), ("4", "c")):
        tasks.append(asyncio.create_task(ask(name, plugin)))
        await asyncio.sleep(0)
    pool.release(held)
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert order == ["1", "2", "3", "4"]


async def test_one_who_gives_up_waiting_takes_nothing_with_him() -> None:
    pool = WorkerPool(1, 1)
    held = await pool.acquire("p")
    given_up = asyncio.create_task(pool.acquire("p"))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)
    # The harder moment: granted and cancelled in the same turn.
    unlucky = asyncio.create_task(pool.acquire("p"))
    await asyncio.sleep(0)
    pool.release(held)
    unlucky.cancel()
    await asyncio.gather(unlucky, return_exceptions=True)
    assert pool.taken == 0
    await asyncio.wait_for(pool.acquire("p"), 60)


async def test_limits_can_grow_and_shrink_while_slots_are_taken() -> None:
    pool = WorkerPool(1, 1)
    first = await pool.acquire("p")
    waiting = asyncio.create_task(pool.acquire("p"))
    await asyncio.sleep(0)
    pool.resize(2, 2)
    second = await asyncio.wait_for(waiting, 60)
    pool.resize(1, 1)
    pool.release(first)
    again = asyncio.create_task(pool.acquire("p"))
    await asyncio.sleep(0.01)
    assert not again.done()
    pool.release(second)
    await asyncio.wait_for(again, 60)


async def test_threads_are_reused_and_never_exceed_the_limit() -> None:
    pool = WorkerPool(3, 3)
    before = threading.active_count()

    async def one() -> None:
        await run_in(pool, await pool.acquire("p"), lambda: None)

    await asyncio.gather(*(one() for _ in range(200)))
    assert threading.active_count() - before <= 3
    pool.close()


@pytest.mark.process
async def test_a_plugin_that_forks_leaves_no_second_monitor() -> None:
    pool = WorkerPool(1, 1)
    children: list[int] = []

    def fork() -> int:
        # A thread of a multi-threaded process forks: what a careless driver does.
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child:
            children.append(child)
        return child

    outcome = await run_in(pool, await pool.acquire("p"), fork)
    assert outcome.result == children[0]
    _, status = await asyncio.wait_for(asyncio.to_thread(os.waitpid, children[0], 0), 60)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (await run_in(pool, await pool.acquire("p"), lambda: "well")).result == "well"
    pool.close()


async def test_forgetting_a_plugin_removes_it_from_the_counts() -> None:
    pool = WorkerPool(2, 2)
    pool.announce("p")
    assert pool.counts["p"].limit == 2
    slot = await pool.acquire("p")
    pool.forget("p")
    assert "p" in pool.counts  # something of it still runs
    pool.release(slot)
    assert "p" not in pool.counts
