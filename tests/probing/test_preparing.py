"""What a plugin does once is outside of its deadline, bounded, and done once for a target in a process."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from floe_monitor.compute.models import ConnectionStatus, ErrorType
from floe_monitor.probing import runner
from floe_monitor.probing.runner import Attempt, Runner
from floe_monitor.probing.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from floe_monitor.domain.events import ProbeResult
    from floe_monitor.domain.targets import Target

    MakeTarget = Callable[..., Target]
    Probe = Callable[[Target], Awaitable[ProbeResult]]

BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])


@pytest.fixture
async def used(lab: Any) -> AsyncIterator[Runner]:
    pool = WorkerPool(4, 4)
    made = Runner(pool)
    made.pool = pool  # type: ignore[attr-defined]  # for `probe`
    yield made
    lab.FOREVER.set()
    made.close()
    pool.close()


@pytest.fixture
def probe(used: Any) -> Probe:
    async def run(target: Target) -> ProbeResult:
        result: ProbeResult = await used.run(Attempt(target), await used.pool.acquire("lab"), "schedule")
        return result

    return run


@BOTH
async def test_it_costs_the_deadline_nothing(
    probe: Probe, make_target: MakeTarget, isolation: str, unhurried: Any
) -> None:
    timeout = unhurried(0.4)
    preparing = 1.5 * timeout
    target = make_target(
        {"behave": "obey_the_deadline", "prepare": preparing},
        timeout=timeout,
        isolation=isolation,
        interval=10,
    )
    result = await probe(target)
    assert result.message.startswith("gave up with "), "the preparation alone takes longer than the deadline"
    given = float(result.message.removeprefix("gave up with ").split()[0])
    assert 0 < given < timeout + 0.001  # it is rounded to milliseconds
    assert result.duration < preparing


@BOTH
async def test_it_is_done_once(probe: Probe, make_target: MakeTarget, isolation: str) -> None:
    target = make_target("tell_hooks", isolation=isolation)
    assert [(await probe(target)).message for _ in range(3)] == ["prepare"] * 3


@BOTH
async def test_a_failure_leaves_the_verdict_to_the_validation(
    probe: Probe, make_target: MakeTarget, isolation: str
) -> None:
    target = make_target({"behave": "healthy", "prepare": "raise"}, isolation=isolation)
    assert (await probe(target)).status is ConnectionStatus.HEALTHY


@BOTH
async def test_one_that_does_not_end_is_told_and_bounded(
    probe: Probe, make_target: MakeTarget, monkeypatch: pytest.MonkeyPatch, isolation: str, within: Any
) -> None:
    if isolation == "process":  # a child started before: the start itself takes longer than what follows
        await probe(make_target("healthy", isolation=isolation))
    monkeypatch.setattr(runner, "START_SECONDS", 0.2)
    target = make_target({"behave": "healthy", "prepare": 1.8}, isolation=isolation)
    with within(1.2, margin=0.3):
        result = await probe(target)
    assert (result.status, result.error_type) == (ConnectionStatus.UNHEALTHY, ErrorType.PLUGIN)
    assert "was not ready" in result.message
    assert result.worker == ("stuck" if isolation == "thread" else "reclaimed")


async def test_a_credential_file_that_hangs_is_within_the_deadline(
    probe: Probe, make_target: MakeTarget, lab: Any, monkeypatch: pytest.MonkeyPatch, within: Any
) -> None:
    """What is read before the preparation is the target's own: it does not get the time of an import."""
    target = make_target("healthy", timeout=0.3)
    monkeypatch.setattr(type(target), "resolve", lambda _: lab.FOREVER.wait())
    with within(0.3):
        result = await probe(target)
    assert (result.error_type, result.worker) == (ErrorType.TIMEOUT, "stuck")


async def test_plugins_are_told_of_the_end(
    probe: Probe, used: Runner, make_target: MakeTarget, lab: Any
) -> None:
    await probe(make_target("healthy"))
    assert lab.HOOKS == ["prepare"]
    used.close()
    assert lab.HOOKS == ["prepare", "shutdown"]


async def test_one_that_does_not_end_its_own_is_left_behind(
    probe: Probe,
    used: Runner,
    make_target: MakeTarget,
    lab: Any,
    monkeypatch: pytest.MonkeyPatch,
    within: Any,
) -> None:
    await probe(make_target("healthy"))
    monkeypatch.setattr(lab.LabComputePlugin, "shutdown", lambda _: time.sleep(5))
    with within(runner.SHUTDOWN_SECONDS, margin=0.3):
        await asyncio.to_thread(used.close)
