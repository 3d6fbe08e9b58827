"""A driver's calls: returned in time, in order, and never more of them abandoned than allowed."""

from __future__ import annotations

import threading
from contextvars import ContextVar

import pytest

from floe_monitor.compute.deadline import Deadline
from floe_monitor.compute.errors import ComputeTimeoutError
from floe_monitor.compute.toolkit.driver_thread import DriverThreads
from tests.harness.polling import settled

_word: ContextVar[str] = ContextVar("word")


def test_calls_run_in_order_on_one_thread_with_the_callers_context() -> None:
    _word.set("theirs")
    thread = DriverThreads("driver").start(Deadline.after(30))
    seen = [thread.call(lambda: (threading.current_thread().name, _word.get()), "it") for _ in range(2)]
    assert seen == [("driver", "theirs")] * 2
    last: list[int] = []
    thread.end(lambda: last.append(1))
    assert last == [1]
    settled(lambda: not any(each.name == "driver" for each in threading.enumerate()))


def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    thread = DriverThreads("driver").start(Deadline.after(30))

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        thread.call(fail, "it")
    assert thread.call(lambda: 3, "it") == 3
    thread.end()


def test_a_call_that_does_not_return_is_abandoned_and_counted() -> None:
    threads = DriverThreads("driver", limit=1)
    release = threading.Event()
    closed: list[int] = []
    thread = threads.start(Deadline.after(0.05))
    with pytest.raises(ComputeTimeoutError, match="waiting for the login"):
        thread.call(lambda: release.wait(30), "the login")
    thread.end(lambda: closed.append(1))
    assert threads.abandoned == 1
    with pytest.raises(ComputeTimeoutError, match="1 calls of earlier probes"):
        threads.start(Deadline.after(30))
    release.set()
    settled(lambda: threads.abandoned == 0)
    assert closed == [1]
    threads.start(Deadline.after(30)).end()
