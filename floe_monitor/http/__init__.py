"""The surface: metrics, health, API and status page over one state; it acts only through `Control`.

Names load on first use, so that `present` serves the command line without a web server coming along.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floe_monitor.http.app import create_app
    from floe_monitor.http.control import Control, ProbeRefusedError, Renders
    from floe_monitor.http.listening import Listener, ListenError, listen
    from floe_monitor.http.liveness import LivenessLimits, Verdict, readiness
    from floe_monitor.http.server import serve

__all__ = [
    "Control",
    "ListenError",
    "Listener",
    "LivenessLimits",
    "ProbeRefusedError",
    "Renders",
    "Verdict",
    "create_app",
    "listen",
    "readiness",
    "serve",
]

_HOMES = {
    "app": ("create_app",),
    "control": ("Control", "ProbeRefusedError", "Renders"),
    "listening": ("ListenError", "Listener", "listen"),
    "liveness": ("LivenessLimits", "Verdict", "readiness"),
    "server": ("serve",),
}


def __getattr__(name: str) -> object:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
