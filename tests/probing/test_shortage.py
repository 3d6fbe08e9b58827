"""What the monitor itself lacks is no fault of a target: the tick is skipped, and says so."""

from __future__ import annotations

import os
import resource
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit import headroom
from floe_monitor.domain.events import ShortageBegan, ShortageEnded
from floe_monitor.domain.health import HealthStatus
from floe_monitor.domain.liveness import LivenessLimits, liveness
from floe_monitor.probing.oneshot import open_prober
from floe_monitor.settings.models import WorkerSettings
from tests.probing.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from floe_monitor.domain.targets import Target

    MakeTarget = Callable[..., Target]
    MakeTargets = Callable[..., dict[str, Target]]

NO_DESCRIPTORS = "the monitor has no more file descriptors (the limit of this process)"


@contextmanager
def few_descriptors(free: int) -> Iterator[None]:
    """A limit that leaves about `free` to open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = os.open(os.devnull, os.O_RDONLY)
    os.close(highest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [("lack_descriptors", NO_DESCRIPTORS), ("lack_memory", "the monitor has no more memory")],
)
@pytest.mark.parametrize("isolation", ["thread", pytest.param("process", marks=pytest.mark.process)])
async def test_a_shortage_in_a_validation_is_a_skipped_tick(
    behaviour: str, said: str, isolation: str, make_targets: MakeTargets
) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"short": behaviour}, interval=0.1, isolation=isolation)):
        await monitor.until(lambda: monitor.skips("short")["shortage"] >= 2)
        assert monitor.state.shortages["short"].what == said
    assert monitor.results("short") == []
    assert monitor.state.targets["short"].status is HealthStatus.UNKNOWN
    assert [event for event in monitor.events if isinstance(event, ShortageBegan)] == [ShortageBegan(said)]


async def test_it_is_over_with_the_next_result(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"a": "healthy", "b": "healthy"}, interval=0.1)):
        await monitor.until(lambda: monitor.results("a") and monitor.results("b"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (8, hard))  # less than are open: none can be opened
        try:
            await monitor.until(lambda: monitor.skips("a")["shortage"] and monitor.skips("b")["shortage"])
            assert monitor.state.targets["a"].status is HealthStatus.HEALTHY
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        await monitor.until(lambda: not monitor.state.shortages)
        ended = [event for event in monitor.events if isinstance(event, ShortageEnded)]
        assert ended
        assert ended[0].lasted > 0


async def test_a_driver_that_blames_its_engine_is_not_believed(make_targets: MakeTargets, lab: Any) -> None:
    monitor = Monitor()
    with few_descriptors(200):
        try:
            async with monitor.watching(make_targets({"blaming": "exhaust_descriptors"}, interval=0.2)):
                await monitor.until(lambda: monitor.skips("blaming")["shortage"] >= 1)
        finally:
            for descriptor in lab.HELD:
                os.close(descriptor)
            lab.HELD.clear()
    assert monitor.results("blaming") == []


async def test_no_driver_is_called_with_few_descriptors_left(make_targets: MakeTargets, lab: Any) -> None:
    """A native driver ends the process where it cannot open one."""
    monitor = Monitor()
    with few_descriptors(1):
        async with monitor.watching(make_targets({"dev": "healthy"}, interval=0.1)):
            await monitor.until(lambda: monitor.skips("dev")["shortage"] >= 2)
            assert lab.CALLS == []


async def test_a_secret_file_without_a_descriptor_is_no_fault_of_the_configuration(
    make_target: MakeTarget, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("opensesame")
    file = str(tmp_path / "secret")
    target = make_target("healthy", extra={"credentials": {"password": {"file": file}}})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(MonitorResourceError, match="file descriptors"):
            target.resolve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_who_asks_for_a_validation_is_told(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    async with monitor.watching(make_targets({"short": "lack_memory"}, interval=60)):
        await monitor.until(lambda: monitor.state.scheduler_beat)
        for _ in range(2):
            with pytest.raises(MonitorResourceError, match="no more memory"):
                await monitor.scheduler.validate("short")


async def test_a_check_on_the_command_line_has_a_result(make_target: MakeTarget) -> None:
    with open_prober(WorkerSettings()) as prober:
        result = await prober.probe(make_target("lack_memory"))
    assert result.message == "the monitor has no more memory"


async def test_health_fails_where_nothing_was_probed_for_a_minute(make_targets: MakeTargets) -> None:
    monitor = Monitor()
    limits = LivenessLimits(stuck=3)
    async with monitor.watching(make_targets({"short": "lack_memory", "well": "healthy"}, interval=0.1)):
        await monitor.until(lambda: "short" in monitor.state.shortages and monitor.results("well"))
    state, now = monitor.state, time.monotonic()
    state.scheduler_beat = now + 61
    told = liveness(state, now, limits)
    assert told.ok
    assert "the monitor has no more memory: for " in told.remarks[0]
    assert "no probe of short" in told.remarks[0]
    failing = liveness(state, now + 61, limits)
    assert "(limit 60 s) no probe of short" in failing.reasons[0]
    state.last_probed = now + 10  # another target was probed meanwhile
    assert liveness(state, now + 61, limits).ok


def test_threads_are_looked_for_before_native_code_needs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    headroom.require_threads()

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading._start_new_thread", refuse)
    with pytest.raises(MonitorResourceError, match="no more threads"):
        headroom.require_threads()
