"""The parts around a scheduler, for real."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from floe_monitor.domain.events import Event, ProbeFinished, TickSkipped
from floe_monitor.domain.state import ConfigStatus, MonitorState
from floe_monitor.probing.runner import Runner
from floe_monitor.probing.scheduler import Scheduler
from floe_monitor.probing.workers import WorkerPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from floe_monitor.domain.targets import Target


class Monitor:
    """Events are kept."""

    def __init__(self, limit: int = 32, per_plugin: int = 16, history: int = 20) -> None:
        self.state = MonitorState(started_at=time.time(), config=ConfigStatus(0, 0))
        self.pool = WorkerPool(limit, per_plugin, self.state.set_workers)
        self.events: list[Event] = []
        self.runner = Runner(self.pool)
        self.scheduler = Scheduler(
            self.state, self.pool, self.runner, self.events.append, history=history, salt="test"
        )

    @asynccontextmanager
    async def watching(self, targets: dict[str, Target]) -> AsyncIterator[None]:
        with anyio.CancelScope() as probing:
            async with asyncio.TaskGroup() as probes:
                self.scheduler.apply(targets)
                probes.create_task(self.scheduler.run(probes))
                yield
                probing.cancel()
        self.runner.close()

    async def until(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        with anyio.fail_after(seconds):
            while not condition():  # noqa: ASYNC110 - what is awaited sets no event
                await anyio.sleep(0.005)

    def results(self, name: str) -> list[ProbeFinished]:
        return [e for e in self.events if isinstance(e, ProbeFinished) and e.result.target == name]

    def skips(self, name: str) -> Counter[str]:
        counted: Counter[str] = Counter()
        for event in self.events:
            if isinstance(event, TickSkipped) and event.target == name:
                counted[event.reason] += event.count
        return counted
