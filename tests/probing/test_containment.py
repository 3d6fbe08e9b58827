"""What a plugin or the system does stays where it happened: not on the event loop, not in the next probe."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.compute.toolkit.blocking_calls import BlockingCalls
from floe_monitor.compute.toolkit.connection_cache import CachedConnection, ConnectionCache
from floe_monitor.probing import foreign_output, process_pool
from floe_monitor.probing.oneshot import open_prober
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool
from floe_monitor.settings.models import WorkerSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target

    MakeTarget = Callable[..., Target]
    Probe = Callable[[Target], Awaitable[ProbeResult]]


@pytest.fixture
async def pool() -> WorkerPool:
    return WorkerPool(4, 4)


@pytest.fixture
async def runner(pool: WorkerPool, lab: Any) -> AsyncIterator[Runner]:
    made = Runner(pool)
    yield made
    lab.FOREVER.set()
    made.close()
    pool.close()


@pytest.fixture
def probe(pool: WorkerPool, runner: Runner) -> Probe:
    async def run(target: Target) -> ProbeResult:
        return await runner.run(Attempt(target), await pool.acquire("lab"), "schedule")

    return run


async def test_an_exception_slow_to_describe_does_not_hold_up_the_loop(
    probe: Probe, make_target: MakeTarget, within: Any
) -> None:
    async def beat() -> None:
        while True:
            with within(0.5, margin=0.2):
                await asyncio.sleep(0.02)

    beating = asyncio.create_task(beat())
    result = await probe(make_target("slow_to_read"))
    beating.cancel()
    assert result.message == "SlowToReadError: at last"
    with pytest.raises(asyncio.CancelledError):
        await beating


async def test_a_name_that_raises_is_the_plugins_own(
    probe: Probe, make_target: MakeTarget, lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_name(_: object) -> str:
        raise RuntimeError("no driver, no name")

    monkeypatch.setattr(lab.LabComputePlugin, "db_system_name", property(no_name))
    target = make_target("healthy")
    assert target.db_system == "lab"
    assert (await probe(target)).status is ConnectionStatus.HEALTHY


# ---------------------------------------------------------------- children


@pytest.mark.process
async def test_what_a_child_says_late_is_no_answer_for_the_next(
    probe: Probe, make_target: MakeTarget
) -> None:
    assert (await probe(make_target("leave_a_check_behind", isolation="process"))).message == "fine"
    await asyncio.sleep(0.4)
    for _ in range(2):
        result = await probe(make_target("healthy", isolation="process"))
        assert (result.status, result.checks) == (ConnectionStatus.HEALTHY, ())


@pytest.mark.process
async def test_a_child_keeps_no_connections(probe: Probe, make_target: MakeTarget) -> None:
    assert (await probe(make_target("keep_connections"))).message == "1 kept"
    assert (await probe(make_target("keep_connections", isolation="process"))).message == "0 kept"


@pytest.mark.process
async def test_an_idle_child_is_ended_unasked(
    probe: Probe, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "IDLE_SECONDS", 0.3)
    pid = (await probe(make_target("tell_pid", isolation="process"))).message
    await _until_ended(pid)
    assert (await probe(make_target("tell_pid", isolation="process"))).message != pid


@pytest.mark.process
@pytest.mark.parametrize(
    ("behaviour", "message"),
    [("half_a_message", "no answer within 1 s"), ("no_message", "the worker process sent what is no answer")],
)
async def test_a_child_that_sends_no_whole_message_is_ended(
    behaviour: str, message: str, probe: Probe, pool: WorkerPool, make_target: MakeTarget
) -> None:
    result = await probe(make_target(behaviour, isolation="process", timeout=1))
    assert (result.message, result.worker) == (message, "reclaimed")
    assert pool.taken == 0


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing tells whose an orphan was")
@pytest.mark.parametrize(
    "more",
    [
        pytest.param({}, id="plain"),
        pytest.param({"cleared": True}, id="cleared"),
        pytest.param({"then": "exit"}, id="died"),
        pytest.param({"then": "exit", "cleared": True, "near": True}, id="died, cleared, same group"),
    ],
)
async def test_what_a_child_leaves_in_other_sessions_ends_with_it(
    more: dict[str, Any], probe: Probe, make_target: MakeTarget, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    behaviour = {"behave": "leave_a_grandchild", "file": str(file), **more}
    await probe(make_target(behaviour, isolation="process", timeout=3))
    await _until_ended(file.read_text().strip())


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="as above")
async def test_what_a_child_leaves_ends_with_the_monitor(
    probe: Probe, make_target: MakeTarget, runner: Runner, tmp_path: Path
) -> None:
    file = tmp_path / "pid"
    behaviour = {"behave": "leave_a_grandchild", "file": str(file)}
    probing = asyncio.ensure_future(probe(make_target(behaviour, isolation="process", timeout=60)))
    until = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    runner.close()
    await _until_ended(file.read_text().strip())
    await probing


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a process that is looked at is waited for")
def test_no_signal_reaches_who_has_the_number_of_a_process_that_ended(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = process_pool.WorkerProcess(process_pool.PluginAddress("lab", None))
    pid = process._process.pid
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while process.alive:
        assert time.monotonic() < until
        time.sleep(0.01)
    os.kill(pid, 0)  # nobody else can have the number yet
    process.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    sent: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: sent.append(pid))
    monkeypatch.setattr(os, "killpg", lambda pid, _: sent.append(pid))
    process.kill()
    assert sent == []


async def _until_ended(pid: str) -> None:
    until = time.monotonic() + 60
    while _is_alive(pid):
        assert time.monotonic() < until
        await asyncio.sleep(0.05)


def _is_alive(pid: str) -> bool:
    import psutil

    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ---------------------------------------------------------------- no more threads


@contextmanager
def no_new_threads() -> Iterator[None]:
    """As at a limit on processes: the interpreter's own start of a thread fails."""
    start = threading._start_new_thread  # type: ignore[attr-defined]

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    threading._start_new_thread = refuse  # type: ignore[attr-defined]
    try:
        yield
    finally:
        threading._start_new_thread = start  # type: ignore[attr-defined]


async def test_a_probe_without_a_thread_is_no_result_and_costs_no_slot(
    probe: Probe, pool: WorkerPool, make_target: MakeTarget
) -> None:
    with no_new_threads(), pytest.raises(MonitorResourceError, match="no thread for the probe"):
        await probe(make_target("healthy"))
    assert pool.taken == 0
    assert (await probe(make_target("healthy"))).status is ConnectionStatus.HEALTHY


def test_a_look_up_without_a_thread_is_tried_again_the_next_time() -> None:
    calls = BlockingCalls()
    with no_new_threads(), pytest.raises(MonitorResourceError):
        calls.resolve("localhost", 1)
    assert calls.pending == 0
    assert calls.resolve("localhost", 10)


def test_a_connection_cache_without_a_thread_closes_later() -> None:
    class Line:
        usable = True
        closed = False

        def close(self) -> None:
            self.closed = True

    cache: ConnectionCache[Line] = ConnectionCache("lines")
    first, second = Line(), Line()
    with no_new_threads():
        cache.keep("first", CachedConnection(first, time.monotonic(), 60), 0.1)
    cache.keep("second", CachedConnection(second, time.monotonic(), 60), 0.1)
    until = time.monotonic() + 60
    while not (first.closed and second.closed):
        assert time.monotonic() < until
        time.sleep(0.01)


# ---------------------------------------------------------------- without a schedule


async def test_repeated_probes_respect_the_limits_and_hang_once(
    make_targets: Callable[..., dict[str, Target]], lab: Any
) -> None:
    targets = make_targets({"hung": "hang", **{f"well{n}": "healthy" for n in range(20)}}, timeout=0.2)
    before = threading.active_count()
    with open_prober(WorkerSettings(limit=4, per_plugin=2)) as prober:
        for _ in range(3):
            results = await asyncio.gather(*(prober.probe(target) for target in targets.values()))
            assert results[0].error_type is ErrorType.TIMEOUT
            assert {result.status for result in results[1:]} == {ConnectionStatus.HEALTHY}
        assert lab.CALLS.count("hang") == 1
        assert threading.active_count() - before <= 4  # two workers, the hung one, one to close the plugin
        lab.FOREVER.set()
        async with asyncio.timeout(60):  # the worker gets its turn some time
            while (await prober.probe(targets["hung"])).message != "from another age":  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest.mark.process
async def test_a_process_has_the_secrets_of_its_own_target_alone(
    probe: Probe, make_targets: Callable[..., dict[str, Target]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither it nor what it starts has another target's; the system shows none at all."""
    for name in ("FIRST_KEY", "SECOND_KEY", "DBT_ENV_SECRET_C", "HOST_OF_BOTH"):
        monkeypatch.setenv(name, f"value-of-{name}")
    names = "FIRST_KEY SECOND_KEY DBT_ENV_SECRET_C HOST_OF_BOTH"
    common = {"behave": "tell_environ", "names": names, "host": {"env": "HOST_OF_BOTH"}}
    targets = make_targets(
        {
            "a": {**common, "key": {"env": "FIRST_KEY"}},
            "b": {**common, "key": {"env": "SECOND_KEY"}, "x": "{{ env_var('DBT_ENV_SECRET_C') }}"},
        },
        isolation="process",
    )
    first, second, again = [(await probe(targets[name])).message for name in ("a", "b", "a")]
    own = ["FIRST_KEY", "HOST_OF_BOTH"]
    pid = first.partition(":")[0]
    assert first == again == f"{pid}: {own} {own} {['HOST_OF_BOTH']}"
    own = ["SECOND_KEY", "DBT_ENV_SECRET_C", "HOST_OF_BOTH"]
    assert second == f"{pid}: {own} {own} {['HOST_OF_BOTH']}"
    changed = make_targets({"a": {**common, "key": {"env": "HOME"}}}, isolation="process")["a"]
    assert not (await probe(changed)).message.startswith(pid)


@pytest.mark.parametrize("of_everyone", [False, True])
async def test_what_a_plugin_prints_stays_out_of_the_monitors_output(
    probe: Probe, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch, of_everyone: bool
) -> None:
    written = [io.TextIOWrapper(io.BytesIO()) for _ in foreign_output.NAMES]
    for name, stream in zip(foreign_output.NAMES, written, strict=True):
        monkeypatch.setattr(sys, name, stream)
    told: list[int] = []
    with foreign_output.withholding_output(told.append, of_everyone=of_everyone) as withheld:
        for _ in range(3):
            result = await probe(make_target({"behave": "print", "words": "c4nary", "thread": of_everyone}))
            assert result.message == "fine"
        if not of_everyone:
            print("our own")
    assert [getattr(sys, name) for name in foreign_output.NAMES] == written
    for stream in written:
        stream.flush()
    texts = [stream.buffer.getvalue() for stream in written]
    assert b"".join(texts) == (b"" if of_everyone else b"our own\n")
    assert withheld.count > 3 * 8 * len("c4nary")
    assert len(told) == 1  # at once; then every minute
