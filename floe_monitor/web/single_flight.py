"""Work that several callers ask for at once is done once, and its result shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.domain.interpreter_turns import TURNS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

S = TypeVar("S")
T = TypeVar("T")


@dataclass(slots=True)
class _Call(Generic[T]):
    done: anyio.Event = field(default_factory=anyio.Event)
    results: list[T] = field(default_factory=list)
    """The result, or nothing when the caller that did the work was cancelled or failed."""


class SingleFlight(Generic[T]):
    """One call by key at a time. Whoever comes while it runs shares its result; whoever comes later starts it
    anew, so no caller gets what was true before it asked except by the time the call took."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Call[T]] = {}

    async def run(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        while (call := self._under_way.get(key)) is not None:
            await call.done.wait()
            if call.results:
                return call.results[0]
        call = self._under_way[key] = _Call()
        try:
            result = await work()
            call.results.append(result)
            return result
        finally:
            del self._under_way[key]
            call.done.set()


class ThreadedSingleFlight(SingleFlight[T]):
    """For blocking work, in a thread. One call at a time whatever its key: rendering holds the interpreter's
    lock anyway, and waiting in turn costs less than threads that compete for it.

    At a limit on threads it is done on the event loop, which costs others some milliseconds: a monitor that
    cannot be scraped tells nobody what it lacks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._one = anyio.CapacityLimiter(1)

    async def run_blocking(self, key: Hashable, work: Callable[[], T]) -> T:
        return await self.run(key, lambda: self.in_thread(work))

    async def in_thread(self, work: Callable[[], S]) -> S:
        """For what consists of several such steps."""

        def in_turn() -> S:
            with TURNS.take():
                return work()

        try:
            return await anyio.to_thread.run_sync(in_turn, limiter=self._one)
        except RuntimeError as error:
            if resource_error_in(error) is None:
                raise
        return work()
