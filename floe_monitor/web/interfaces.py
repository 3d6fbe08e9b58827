"""What the HTTP surface calls: protocols, so that it imports none of the packages that implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_monitor.domain.events import ConfigReloaded, ProbeResult
    from floe_monitor.domain.history_json_types import (
        KeptChangesJson,
        KeptIncidentsJson,
        KeptPeriodsJson,
        KeptResultsJson,
    )
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.span import Span


class ProbeRefusedError(Exception):
    """A probe asked for cannot run now; the message says why (the last one still runs, no slot is free)."""


class ControllerProtocol(Protocol):
    """The actions a request may ask for; `daemon.controller.Controller` implements it."""

    async def validate(self, name: str) -> ProbeResult:
        """Probe the target now and wait for the outcome. `KeyError`: no such target; `ProbeRefusedError`;
        `MonitorResourceError`."""

    async def reload(self) -> ConfigReloaded:
        """Load the configuration again and say what came of it."""


class MetricsPageProtocol(Protocol):
    """`telemetry.exposition.MetricsPage` implements it."""

    def render(self, *, openmetrics: bool = False) -> tuple[bytearray, str]:
        """The page, which nobody else changes, and its content type. Blocking: it is called in a thread."""


class HistoryReadError(Exception):
    """The history cannot be read now, or not within its time; the message says why, without a secret."""


class UnknownTargetError(Exception):
    """Nothing was ever kept of a target of that name. `known` are those of which something was."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__("nothing was kept of it")
        self.known = known


class HistoryProtocol(Protocol):
    """What is kept beyond the process; `daemon.history.KeptHistory` implements it.

    All of it blocks, for some seconds at most, and is called in a thread. `HistoryReadError`; of one target
    also `UnknownTargetError`. Parts are newest first, `limit` rows at most.
    """

    def results(self, name: str, span: Span, limit: int) -> KeptResultsJson: ...

    def changes(self, name: str, span: Span, limit: int) -> KeptChangesJson: ...

    def periods(
        self, name: str, unit: Literal["hours", "days"], span: Span, limit: int
    ) -> KeptPeriodsJson: ...

    def incidents(self, names: Sequence[str], span: Span, limit: int) -> KeptIncidentsJson: ...

    def incident(self, identity: str) -> Incident | None: ...
