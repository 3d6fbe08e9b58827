"""Which event feeds which instruments of the table, with which labels: the same for every back end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, get_args

from floe_monitor.compute.models import ErrorType
from floe_monitor.domain.events import (
    LateReturn,
    ProbeFinished,
    ProbeStarted,
    ProfileGenerated,
    ProfileReconciled,
    SkipReason,
    TickSkipped,
)
from floe_monitor.telemetry import monitor_instruments as of_monitor
from floe_monitor.telemetry import target_instruments as of_targets
from floe_monitor.telemetry.state_metrics import error_type_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_monitor.domain.events import Event, ProbeResult
    from floe_monitor.telemetry.instrument import Instrument

FED = (
    of_targets.VALIDATION_DURATION,
    of_targets.VALIDATION_ERRORS,
    of_targets.PROFILE_GENERATION,
    of_monitor.LATE_RETURNS,
    of_monitor.PROBES_SKIPPED,
    of_monitor.SCHEDULE_LAG,
    of_monitor.SLOT_WAIT,
    of_monitor.PROFILE_WRITES,
)


class EventMetrics(ABC):
    """A back end's counters and histograms. `labels` are values, in the order of the instrument's names."""

    def __init__(self) -> None:
        self._begun: set[str] = set()
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ProbeFinished: self._finished,
            ProbeStarted: self._started,
            TickSkipped: self._skipped,
            LateReturn: self._returned_late,
            ProfileGenerated: self._generated,
            ProfileReconciled: self._reconciled,
        }

    def handle(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is not None:
            handler(event)

    @abstractmethod
    def observe(
        self, instrument: Instrument, seconds: float, *labels: str, result: ProbeResult | None = None
    ) -> None:
        """`result` is what an exemplar may name."""

    @abstractmethod
    def count(self, instrument: Instrument, number: int, *labels: str) -> None: ...

    def _begin(self, plugin: str) -> None:
        """A plugin's series begin at zero: `increase()` does not see what a new counter begins with."""
        for error_type in ErrorType:
            self.count(of_targets.VALIDATION_ERRORS, 0, plugin, error_type.value)
        for reason in get_args(SkipReason):
            self.count(of_monitor.PROBES_SKIPPED, 0, plugin, reason)
        self.count(of_monitor.LATE_RETURNS, 0, plugin)

    def _finished(self, event: ProbeFinished) -> None:
        result = event.result
        if result.plugin not in self._begun:
            self._begun.add(result.plugin)
            self._begin(result.plugin)
        self.observe(
            of_targets.VALIDATION_DURATION, result.duration, result.plugin, result.status.value, result=result
        )
        reason = error_type_of(result)
        if reason is not None:
            self.count(of_targets.VALIDATION_ERRORS, 1, result.plugin, reason.value)

    def _started(self, event: ProbeStarted) -> None:
        if event.lag is not None:
            self.observe(of_monitor.SCHEDULE_LAG, event.lag)
        self.observe(of_monitor.SLOT_WAIT, event.slot_wait)

    def _skipped(self, event: TickSkipped) -> None:
        self.count(of_monitor.PROBES_SKIPPED, event.count, event.plugin, event.reason)

    def _returned_late(self, event: LateReturn) -> None:
        self.count(of_monitor.LATE_RETURNS, 1, event.plugin)

    def _generated(self, event: ProfileGenerated) -> None:
        self.observe(of_targets.PROFILE_GENERATION, event.duration, event.plugin)

    def _reconciled(self, event: ProfileReconciled) -> None:
        if event.result != "unchanged":
            self.count(of_monitor.PROFILE_WRITES, 1, event.profile, event.result)
