"""The surface: metrics, health, API and status page over one state; it acts only through `Control`."""

from floe_monitor.http.app import create_app
from floe_monitor.http.control import Control, ProbeRefusedError, Renders
from floe_monitor.http.listening import Listener, ListenError, listen
from floe_monitor.http.liveness import LivenessLimits, Verdict, liveness, readiness
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
    "liveness",
    "readiness",
    "serve",
]
