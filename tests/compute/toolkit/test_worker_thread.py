"""The one thread with an inbox: calls in turn, their outcomes, and what a call may do to it."""

from __future__ import annotations

import contextvars
import gc
import subprocess
import sys
import threading
import weakref
from functools import partial
from typing import TypeVar

import pytest

from floe_monitor.compute.models import ErrorType
from floe_monitor.compute.toolkit.worker_thread import Call, WorkerThread

PATIENCE = 20.0
T = TypeVar("T")


def ended(call: Call[T]) -> Call[T]:
    assert call.done.wait(PATIENCE)
    return call


def test_calls_run_one_after_another_on_one_daemon_thread() -> None:
    worker = WorkerThread("in-turn")
    order: list[int] = []

    def run(number: int) -> threading.Thread:
        order.append(number)
        return threading.current_thread()

    calls = [worker.submit(partial(run, number)) for number in range(50)]
    threads = {ended(call).get() for call in calls}
    assert order == list(range(50))
    (thread,) = threads
    assert thread.daemon
    assert thread.name == "in-turn"
    worker.end()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_what_was_submitted_before_the_end_still_runs() -> None:
    worker = WorkerThread("ending")
    release = threading.Event()
    first = worker.submit(lambda: release.wait(PATIENCE))
    last = worker.submit(lambda: "ran")
    worker.end()
    assert not first.done.is_set()
    release.set()
    assert ended(last).get() == "ran"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
def test_whatever_a_call_raises_is_its_error_and_the_thread_goes_on(error: type[BaseException]) -> None:
    worker = WorkerThread("raising")

    def fail() -> None:
        raise error

    failed = ended(worker.submit(fail))
    assert isinstance(failed.error, error)
    with pytest.raises(error):
        failed.get()
    assert ended(worker.submit(lambda: 1)).get() == 1
    worker.end()


def test_on_done_gets_the_call_in_the_worker_thread_before_those_who_wait() -> None:
    worker = WorkerThread("telling")
    seen: list[tuple[Call[int], int, str]] = []

    def on_done(call: Call[int]) -> None:
        seen.append((call, call.get(), threading.current_thread().name))

    call = ended(worker.submit(lambda: 7, on_done))
    assert seen == [(call, 7, "telling")]
    worker.end()


def test_a_call_runs_in_a_copy_of_its_callers_context() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    worker = WorkerThread("context")  # started where the variable is not set

    def read_and_set() -> str:
        found = variable.get()
        variable.set("by the call")
        return found

    def submit(value: str) -> Call[str]:
        variable.set(value)
        return worker.submit(read_and_set)

    calls = [contextvars.Context().run(submit, value) for value in ("first", "second")]
    assert [ended(call).get() for call in calls] == ["first", "second"]
    assert ended(worker.submit(variable.get)).get() == "unset"
    worker.end()


def test_an_idle_thread_keeps_no_reference_to_a_result() -> None:
    class Held:
        pass

    worker = WorkerThread("idle")
    call = worker.submit(Held)
    reference = weakref.ref(ended(call).get())
    # The next call comes back only after everything of the first was let go.
    ended(worker.submit(lambda: None))
    del call
    gc.collect()
    assert reference() is None
    worker.end()


@pytest.mark.process
def test_a_forked_copy_of_the_process_ends_where_the_call_returns_in_it() -> None:
    code = (
        "import os\n"
        "from floe_monitor.compute.toolkit.worker_thread import WorkerThread\n"
        "worker = WorkerThread('fork')\n"
        "call = worker.submit(os.fork)\n"
        "assert call.done.wait(20)\n"
        "assert os.waitpid(call.get(), 0)[1] == 0\n"
        "print('once')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert ran.stdout == "once\n"


@pytest.mark.process
def test_where_no_thread_can_be_started_the_error_says_so() -> None:
    code = (
        "import threading\n"
        "from floe_monitor.compute.errors import MonitorResourceError\n"
        "from floe_monitor.compute.toolkit.worker_thread import WorkerThread\n"
        "threading.stack_size(1 << 46)  # more address space than there is\n"
        "try:\n"
        "    WorkerThread('none', 'the probe')\n"
        "except MonitorResourceError as error:\n"
        "    print(error, error.error_type)\n"
    )
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert ran.stdout == f"the monitor could start no thread for the probe {ErrorType.PLUGIN}\n"
