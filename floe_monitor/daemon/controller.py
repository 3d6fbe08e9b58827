"""Applies configurations to the running scheduler, workers and profiles; validates and reloads on request."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from floe_monitor.compute.errors import resource_error_in
from floe_monitor.daemon.configuration import read_configuration, report_exposed_files
from floe_monitor.domain.events import ConfigReloaded
from floe_monitor.probing.scheduler import NoSlotError
from floe_monitor.settings import ConfigurationError
from floe_monitor.web.interfaces import ProbeRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from floe_monitor.daemon.configuration import Configuration
    from floe_monitor.domain.events import ProbeResult, Publish
    from floe_monitor.domain.state import MonitorState
    from floe_monitor.probing.scheduler import Scheduler
    from floe_monitor.probing.workers import WorkerPool
    from floe_monitor.profiles import ProfileSynchronizer
    from floe_monitor.settings import LoadedSettings, Settings
    from floe_monitor.web.access_control import AccessControl

log = logging.getLogger("floe_monitor.control")

READ_SECONDS = 30.0
"""How long a configuration may take to be read: files may lie on a file system that hangs, and a plugin's
import may too."""

AT_START_ONLY = ("http", "otlp", "log", "reload", "history", "notifications")
"""Sections whose changes wait for a restart; of `http`, where is listened, of `history`, where it is kept."""


class Controller:
    """Holds the configuration in force. For the event loop's thread only."""

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        loaded: LoadedSettings,
        state: MonitorState,
        scheduler: Scheduler,
        pool: WorkerPool,
        synchronizer: ProfileSynchronizer,
        publish: Publish,
        access: AccessControl,
    ) -> None:
        self._path = path
        self._environ = environ
        self._loaded = loaded
        self._state = state
        self._scheduler = scheduler
        self._pool = pool
        self._synchronizer = synchronizer
        self._publish = publish
        self._access = access
        report_exposed_files(loaded)
        self._reloading = anyio.Lock()
        self._next: asyncio.Future[ConfigReloaded] | None = None

    @property
    def settings(self) -> Settings:
        return self._loaded.settings

    @property
    def loaded(self) -> LoadedSettings:
        return self._loaded

    async def validate(self, name: str) -> ProbeResult:
        try:
            return await self._scheduler.validate(name)
        except NoSlotError as error:
            raise ProbeRefusedError(str(error)) from None

    async def reload(self) -> ConfigReloaded:
        """Load again and apply; an invalid configuration changes nothing.

        One at a time; all who ask while one runs share the next, which reads what is there after they asked.
        """
        if self._next is not None:
            return await asyncio.shield(self._next)
        shared = self._next = asyncio.get_running_loop().create_future()
        try:
            async with self._reloading:
                self._next = None
                event = await self._reload()
        except BaseException as error:  # those who share this reload must not wait for ever
            self._next = None if self._next is shared else self._next
            if isinstance(error, Exception):
                shared.set_exception(error)
                shared.exception()  # retrieved, for perhaps no other request shares it
            else:
                shared.cancel()
            raise
        shared.set_result(event)
        return event

    async def _reload(self) -> ConfigReloaded:
        try:
            with anyio.fail_after(READ_SECONDS):
                read = await anyio.to_thread.run_sync(
                    functools.partial(read_configuration, self._path, self._environ), abandon_on_cancel=True
                )
        except ConfigurationError as error:
            event = self._refuse(tuple(str(problem) for problem in error.problems))
        except TimeoutError:
            waited = f"not read within {READ_SECONDS:g} s: a file or the import of a plugin hangs"
            event = self._refuse((f"{self._path}: {waited}",))
        except Exception as error:  # a fault of ours in reading must not stop the probing
            shortage = resource_error_in(error)
            if shortage is not None:
                event = self._refuse((f"{self._path}: not read: {shortage}",))
                self._publish(event)
                return event
            log.exception("the configuration could not be read")
            event = self._refuse((f"{self._path}: unexpected {type(error).__name__}; the log says where",))
        else:
            event = self._apply(read)
        self._publish(event)
        return event

    def _refuse(self, problems: tuple[str, ...]) -> ConfigReloaded:
        now = time.time()
        self._state.config = replace(self._state.config, attempted_at=now, problems=problems)
        return ConfigReloaded(now, problems)

    def _apply(self, read: Configuration) -> ConfigReloaded:
        former, settings = self._loaded.settings, read.loaded.settings
        self._loaded = read.loaded
        report_exposed_files(read.loaded)
        self._pool.resize(settings.workers.limit, settings.workers.per_plugin)
        self._scheduler.history = settings.history.results
        changes = self._scheduler.apply(read.watched)
        self._state.shard, self._state.configured = read.shard, read.configured
        self._synchronizer.apply(read.profiles, read.targets)
        self._access.apply(settings.http)
        now = time.time()
        config = self._state.config
        self._state.config = replace(
            config, loaded_at=now, attempted_at=now, problems=(), generation=config.generation + 1
        )
        return ConfigReloaded(
            now,
            added=changes.added,
            changed=changes.changed,
            removed=changes.removed,
            waiting=tuple(
                name for name in AT_START_ONLY if _at_start(former, name) != _at_start(settings, name)
            ),
        )


def _at_start(settings: Settings, section: str) -> object:
    match section:
        case "http":
            return settings.http.listening
        case "history":
            return settings.history.at_start
    return getattr(settings, section)
