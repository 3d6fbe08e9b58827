"""The maintenance that targets are in: by the configuration's windows, and by what was declared at a daemon
that keeps a history, which is read for it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from floe_monitor.cli.terminal import note
from floe_monitor.compute.errors import MonitorResourceError
from floe_monitor.compute.toolkit.worker_thread import WorkerThread
from floe_monitor.domain.declarations import Declarations
from floe_monitor.domain.maintenance import maintenance_at, windows_for
from floe_monitor.domain.timestamps import moment

if TYPE_CHECKING:
    from floe_monitor.cli.selection import Selection
    from floe_monitor.domain.maintenance import Maintenance
    from floe_monitor.settings.history_models import HistoryUrl

READ_SECONDS = 5.0
"""How long a command waits for the history."""


class KnownMaintenance:
    """Of the targets of one command."""

    def __init__(self, chosen: Selection) -> None:
        self._chosen = chosen
        self._told = False

    def now(self) -> dict[str, Maintenance]:
        """Of those that are in maintenance, by name."""
        declared = Declarations() if self._chosen.history is None else self._declared(self._chosen.history)
        choices = [each.window for each in declared.maintenance]
        at, found = time.time(), {}
        for target in self._chosen.targets:
            windows = target.windows + windows_for(choices, target.name, target.labels)
            maintenance = maintenance_at(windows, at)
            if maintenance is not None:
                found[target.name] = maintenance
        return found

    def _declared(self, url: HistoryUrl) -> Declarations:
        """Nothing where it cannot be read, which is noted once: no verdict depends on it."""
        try:
            call = WorkerThread("history", "the history").submit(lambda: _read(url))
        except MonitorResourceError as error:
            return self._unknown(str(error))
        if not call.done.wait(READ_SECONDS):
            return self._unknown(f"the history has not answered within {READ_SECONDS:g} s")
        match call.error:
            case None:
                return call.get()
            case _UnreadableError() as found:
                return self._unknown(str(found))
            case found:
                return self._unknown(f"unexpected {type(found).__name__}")

    def _unknown(self, why: str) -> Declarations:
        if not self._told:
            note(f"whether maintenance was declared is not known: {why}")
        self._told = True
        return Declarations()


def in_maintenance(name: str, known: Maintenance) -> str:
    reason = f": {known.reason}" if known.reason else ""
    return f"{name} is in maintenance until {moment(known.until)}{reason}"


class _UnreadableError(Exception):
    """The text says why."""


def _read(url: HistoryUrl) -> Declarations:
    try:
        # 35 MB, for those who keep one.
        from floe_monitor.history.errors import (  # noqa: PLC0415
            HistoryMissingError,
            HistoryUnavailableError,
        )
        from floe_monitor.history.reader import open_history  # noqa: PLC0415
    except ImportError as error:
        raise _UnreadableError(f"{error.name} is not installed: install floe-monitor[history]") from None
    try:
        with open_history(url, os.environ, READ_SECONDS) as reader:
            return reader.declared()
    except HistoryMissingError:  # no daemon has run yet, or it runs elsewhere
        return Declarations()
    except HistoryUnavailableError as error:
        raise _UnreadableError(str(error)) from None
