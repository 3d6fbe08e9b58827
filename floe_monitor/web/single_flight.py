"""Work that several ask for at once is done once, in a thread, and shared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

T = TypeVar("T")


@dataclass(slots=True)
class _Flight(Generic[T]):
    landed: anyio.Event = field(default_factory=anyio.Event)
    results: list[T] = field(default_factory=list)
    """The result, or nothing when whoever flew was cancelled or failed."""


class Flights(Generic[T]):
    """Single flight by key. Whoever comes while the work runs shares its result; whoever comes later starts
    it anew, so nobody is given what was true before they asked except by the moment the work took."""

    def __init__(self) -> None:
        self._flying: dict[Hashable, _Flight[T]] = {}

    async def fly(self, key: Hashable, work: Callable[[], Awaitable[T]]) -> T:
        while (flight := self._flying.get(key)) is not None:
            await flight.landed.wait()
            if flight.results:
                return flight.results[0]
        flight = self._flying[key] = _Flight()
        try:
            result = await work()
            flight.results.append(result)
            return result
        finally:
            del self._flying[key]
            flight.landed.set()


class ThreadedFlights(Flights[T]):
    """Flights of blocking work, one at a time whatever their keys: rendering holds the interpreter anyway,
    and a queue costs less than threads that fight over it."""

    def __init__(self) -> None:
        super().__init__()
        self._one = anyio.CapacityLimiter(1)

    async def render(self, key: Hashable, work: Callable[[], T]) -> T:
        return await self.fly(key, lambda: anyio.to_thread.run_sync(work, limiter=self._one))
