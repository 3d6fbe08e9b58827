"""Keeps a history, where one is configured, takes up what the last process has left in it, and reads it."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

import anyio

from floe_monitor.domain.events import IncidentChanged
from floe_monitor.domain.saved_state import restore
from floe_monitor.web.interfaces import HistoryReadError, UnknownTargetError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from floe_monitor.domain.events import Publish
    from floe_monitor.domain.history_json_types import (
        KeptChangesJson,
        KeptIncidentsJson,
        KeptPeriodsJson,
        KeptResultsJson,
    )
    from floe_monitor.domain.incidents import Incident
    from floe_monitor.domain.span import Span
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.domain.uptime import PastSource
    from floe_monitor.history.reader import HistoryReader
    from floe_monitor.history.recorder import HistoryRecorder, SavedState
    from floe_monitor.settings.history_models import HistorySettings, HistoryUrl
    from floe_monitor.telemetry.fanout import Drops

log = logging.getLogger("floe_monitor.history")

READ_SECONDS = 5.0
"""How long the database may take for one request."""
RESTORE_SECONDS = 5.0
"""How long the first probes wait for what the last process has left."""


def build_history(
    settings: HistorySettings, state: MonitorState, environ: Mapping[str, str], drops: Drops
) -> HistoryRecorder | None:
    """None where none is configured, or what it needs is not installed. Imports it otherwise."""
    if settings.url is None:
        return None
    state.keeps_history = True
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
    while not history.saved_state.done():
        if time.monotonic() >= give_up:
            log.warning("the history is slow to open: every status begins anew")
            _declare_later(history, state)
            return
        await anyio.sleep(0.01)
    left = history.saved_state.result()
    _declare(state, left)
    for ended in restore(state, left.states, left.incidents, time.time()):
        publish(IncidentChanged(ended))


def _declare(state: MonitorState, left: SavedState) -> None:
    state.declared = state.declared.joined(left.declared.current(time.time()))


def _declare_later(history: HistoryRecorder, state: MonitorState) -> None:
    """Statuses cannot be taken up once there are results; a maintenance that was declared can."""
    loop = asyncio.get_running_loop()

    def hand_over(done: Future[SavedState]) -> None:
        with suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(_declare, state, done.result())

    history.saved_state.add_done_callback(hand_over)


class KeptHistory:
    """What is in the database, for requests: `web.interfaces.HistoryProtocol`. A connection for each."""

    def __init__(self, url: HistoryUrl, environ: Mapping[str, str]) -> None:
        # Imported where a recorder is, which has the same needs.
        from floe_monitor.history import pages  # noqa: PLC0415 - as above

        self._url, self._environ, self._pages = url, environ, pages

    def results(self, name: str, span: Span, limit: int) -> KeptResultsJson:
        with self._opened(name) as reader:
            return self._pages.results_page(reader, name, span, limit)

    def changes(self, name: str, span: Span, limit: int) -> KeptChangesJson:
        with self._opened(name) as reader:
            return self._pages.changes_page(reader, name, span, limit)

    def periods(self, name: str, unit: Literal["hours", "days"], span: Span, limit: int) -> KeptPeriodsJson:
        with self._opened(name) as reader:
            return self._pages.periods_page(reader, name, unit, span, limit)

    def incidents(self, names: Sequence[str], span: Span, limit: int) -> KeptIncidentsJson:
        with self._opened() as reader:
            return self._pages.incidents_page(reader, names, span, limit)

    def incident(self, identity: str) -> Incident | None:
        with self._opened() as reader:
            return reader.incident(identity)

    @contextmanager
    def _opened(self, name: str | None = None) -> Iterator[HistoryReader]:
        from floe_monitor.history.errors import HistoryUnavailableError  # noqa: PLC0415 - as above
        from floe_monitor.history.reader import open_history  # noqa: PLC0415 - as above

        try:
            with open_history(self._url, self._environ, READ_SECONDS) as reader:
                if name is not None and name not in reader.targets:
                    raise UnknownTargetError(tuple(reader.targets))
                yield reader
        except HistoryUnavailableError as error:
            raise HistoryReadError(str(error)) from None
