"""Keeps a history, where one is configured, and takes up what the last process has left in it."""

from __future__ import annotations

import logging
import socket
import time
from typing import TYPE_CHECKING

import anyio

from floe_monitor.domain.events import IncidentChanged
from floe_monitor.domain.remembered import restore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.history.recorder import HistoryRecorder
    from floe_monitor.settings.history_models import HistorySettings
    from floe_monitor.telemetry.fanout import Drops

log = logging.getLogger("floe_monitor.history")

RESTORE_SECONDS = 5.0
"""How long the first probes wait for what the last process has left."""


def build_history(
    settings: HistorySettings, state: MonitorState, environ: Mapping[str, str], drops: Drops
) -> HistoryRecorder | None:
    """None where none is configured, or what it needs is not installed. Imports it otherwise."""
    if settings.url is None:
        return None
    try:
        from floe_monitor.history.recorder import HistoryRecorder  # noqa: PLC0415 - 35 MB, for those who keep one
    except ImportError as error:
        state.history_problem = f"{error.name} is not installed: install floe-monitor[history]"
        log.warning("the history is not written: %s", state.history_problem)
        return None
    return HistoryRecorder(settings, state, environ, socket.gethostname(), drops.add)


def build_past(settings: HistorySettings, environ: Mapping[str, str]) -> PastSource | None:
    """Where a history is written, what the pages read of it."""
    if settings.url is None:
        return None
    from floe_monitor.history.past import HistoryPast  # noqa: PLC0415 - as above

    return HistoryPast(settings.url, environ)


async def take_up(history: HistoryRecorder, state: MonitorState, publish: Publish) -> None:
    """After the targets are there, and before the first is probed."""
    give_up = time.monotonic() + RESTORE_SECONDS
    while not history.remembered.done():
        if time.monotonic() >= give_up:
            log.warning("the history is slow to open: every status begins anew")
            return
        await anyio.sleep(0.01)
    left = history.remembered.result()
    for ended in restore(state, left.states, left.incidents, time.time()):
        publish(IncidentChanged(ended))
