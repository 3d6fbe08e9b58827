"""How long an engine that rests when nobody uses it took to start, by what validations saw of its state."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING

from floe_monitor.compute.models import EngineState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_monitor.compute.models import ObservedState


@dataclass(frozen=True, slots=True)
class EngineStart:
    """The start under way, and the last that was seen from its beginning to its end.

    One that begins and ends between two validations is not seen, and nothing is guessed of it.
    """

    began: float | None = None
    """When it was first seen starting, in Unix time; None while no start is under way."""
    seconds: float | None = None
    """How long the last start took; None before the first."""

    def after(self, observed: Iterable[ObservedState]) -> EngineStart:
        """The same object where nothing is new, as where a validation saw no state."""
        return reduce(_after_one, observed, self)

    def forgotten(self) -> EngineStart:
        """Nobody has looked for so long that an end to come would say nothing of the start under way."""
        return self if self.began is None else replace(self, began=None)


def _after_one(known: EngineStart, observed: ObservedState) -> EngineStart:
    if observed.state is EngineState.STARTING:
        return known if known.began is not None else replace(known, began=observed.at)
    if known.began is None:
        return known
    took = observed.at - known.began
    # Suspended again, it has not started; and a clock that was set back measures nothing.
    whole = observed.state is EngineState.RUNNING and took >= 0
    return EngineStart(seconds=took if whole else known.seconds)


NEVER_SEEN = EngineStart()
