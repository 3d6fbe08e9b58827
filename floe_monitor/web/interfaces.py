"""What the HTTP surface calls: protocols, so that it imports none of the packages that implement them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from floe_monitor.domain.events import ConfigReloaded, ProbeResult


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

    def render(self, *, openmetrics: bool = False) -> tuple[bytes, str]:
        """The page and its content type. Blocking: it is called in a thread."""
