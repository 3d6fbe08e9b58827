"""What the surface needs from those who act: protocols, so that it imports none of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from floe_monitor.domain.events import ConfigReloaded, ProbeResult


class ProbeRefusedError(Exception):
    """A probe asked for cannot run now; the message says why (the last one still runs, no slot is free)."""


class Control(Protocol):
    """Actions a request may ask for."""

    async def validate(self, name: str) -> ProbeResult:
        """Probe the target now and wait for the outcome. `KeyError`: no such target; `ProbeRefusedError`."""

    async def reload(self) -> ConfigReloaded:
        """Load the configuration again and say what came of it."""


class Renders(Protocol):
    """The metrics page. Blocking: it is called in a thread."""

    def render(self, accept: str | None) -> tuple[bytes, str]:
        """The page and its content type, as the Accept header asks."""
